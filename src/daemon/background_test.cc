#include "daemon/background.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

namespace pocket::daemon {
namespace {

TEST(Background, TasksRunOneAfterTheOtherOnAnotherThread) {
  std::string order;
  std::thread::id thread;
  std::promise<void> done;
  Background background;
  background.run([&] { order += 'a'; });
  background.run([&] {
    order += 'b';
    thread = std::this_thread::get_id();
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_EQ(order, "ab");
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST(Background, DestructorWaitsForTheTaskThatRuns) {
  std::promise<void> started;
  std::promise<void> go_on;
  bool ended = false;
  auto background = std::make_unique<Background>();
  background->run([&] {
    started.set_value();
    go_on.get_future().wait();
    ended = true;
  });
  started.get_future().wait();
  auto destroyed = std::async(std::launch::async, [&, owned = std::move(background)]() mutable {
    owned.reset();
    return ended;
  });
  // It cannot end before the task does.
  EXPECT_EQ(destroyed.wait_for(std::chrono::milliseconds(5)), std::future_status::timeout);
  go_on.set_value();
  EXPECT_TRUE(destroyed.get());
}

TEST(Background, NothingToDoNeedsNoThread) { const Background background; }

}  // namespace
}  // namespace pocket::daemon
