#include "daemon/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <string>
#include <thread>

#include "base/clock.h"

namespace pocket::daemon {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = EventLoop::create();
    ASSERT_TRUE(created.ok()) << created.error().message;
    loop_ = std::move(created).value();
  }
  /// A descriptor that is readable from the start.
  static UniqueFd readable() { return UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)); }
  static UniqueFd silent() { return UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
  /// Runs the loop until everything that is due now has been handled.
  void run_what_is_due() {
    // The second post comes after one more look at the descriptors.
    loop_->post([this] { loop_->post([this] { loop_->stop(); }); });
    loop_->run();
  }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, TimersRunInTheOrderInWhichTheyAreDue) {
  std::string order;
  loop_->after(3 * kMillisecond, [&] { order += 'c'; });
  loop_->after(0, [&] { order += 'a'; });
  loop_->after(2 * kMillisecond, [&] {
    order += 'b';
    loop_->after(4 * kMillisecond, [&] { loop_->stop(); });  // set by a timer
  });
  loop_->run();
  EXPECT_EQ(order, "abc");
}

TEST_F(EventLoopTest, TimersAreNeverEarly) {
  const uint64_t begin = monotonic_ns();
  uint64_t ran_ns = 0;
  loop_->after(5 * kMillisecond + 1, [&] {
    ran_ns = monotonic_ns();
    loop_->stop();
  });
  loop_->run();
  EXPECT_GE(ran_ns - begin, 5 * kMillisecond + 1);
}

TEST_F(EventLoopTest, CancelledTimersDoNotRun) {
  int ran = 0;
  const auto first = loop_->after(0, [&] { ++ran; });
  EventLoop::TimerId second = 0;
  loop_->after(1 * kMillisecond, [&] {
    loop_->cancel(second);
    loop_->after(2 * kMillisecond, [&] { loop_->stop(); });
  });
  second = loop_->after(2 * kMillisecond, [&] { ++ran; });
  loop_->cancel(first);
  loop_->cancel(first);  // again, and one that never was: nothing happens
  loop_->cancel(12345);
  loop_->run();
  EXPECT_EQ(ran, 0);
}

TEST_F(EventLoopTest, TimerMayCancelItself) {
  EventLoop::TimerId timer = 0;
  timer = loop_->after(0, [&] {
    loop_->cancel(timer);
    loop_->stop();
  });
  loop_->run();
}

TEST_F(EventLoopTest, PostedWorkRunsInOrderOnTheLoopsThread) {
  constexpr int kTasks = 1000;
  std::vector<int> seen;
  const auto loop_thread = std::this_thread::get_id();
  bool elsewhere = false;
  std::thread helper([&] {
    for (int task = 0; task < kTasks; ++task) {
      loop_->post([&, task] {
        elsewhere = elsewhere || std::this_thread::get_id() != loop_thread;
        seen.push_back(task);
        if (task == kTasks - 1) loop_->stop();
      });
    }
  });
  loop_->run();
  helper.join();
  ASSERT_EQ(seen.size(), static_cast<size_t>(kTasks));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_FALSE(elsewhere);
}

TEST_F(EventLoopTest, HandlerMayForgetItself) {
  UniqueFd fd = readable();
  int calls = 0;
  // The handler's own state must outlive the call although its watch is gone.
  const std::string state(100, 's');
  ASSERT_TRUE(loop_
                  ->watch(fd.get(), EPOLLIN,
                          [&, state](uint32_t) {
                            loop_->forget(fd.get());
                            calls += static_cast<int>(state.size());
                          })
                  .ok());
  run_what_is_due();
  EXPECT_EQ(calls, 100);
}

TEST_F(EventLoopTest, ForgottenWhileItsEventWaitsMeansNotCalled) {
  std::array<UniqueFd, 2> fds = {readable(), readable()};
  int calls = 0;
  for (size_t own = 0; own < 2; ++own) {
    ASSERT_TRUE(loop_
                    ->watch(fds[own].get(), EPOLLIN,
                            [&, own](uint32_t) {
                              ++calls;
                              loop_->forget(fds[own].get());
                              loop_->forget(fds[1 - own].get());
                            })
                    .ok());
  }
  run_what_is_due();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, EventOfAClosedDescriptorDoesNotReachItsNumbersNextOwner) {
  std::array<UniqueFd, 2> fds = {readable(), readable()};
  int calls = 0;
  int wrong = 0;
  for (size_t own = 0; own < 2; ++own) {
    ASSERT_TRUE(loop_
                    ->watch(fds[own].get(), EPOLLIN,
                            [&, own](uint32_t) {
                              ++calls;
                              loop_->forget(fds[own].get());
                              const int number = fds[1 - own].get();
                              loop_->forget(number);
                              const UniqueFd fresh = silent();
                              ASSERT_EQ(::dup3(fresh.get(), number, O_CLOEXEC), number);
                              ASSERT_TRUE(
                                  loop_->watch(number, EPOLLIN, [&](uint32_t) { ++wrong; }).ok());
                            })
                    .ok());
  }
  run_what_is_due();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(wrong, 0);
}

TEST_F(EventLoopTest, ChangeTellsWhichEventsCount) {
  UniqueFd fd = silent();  // an eventfd is always writable
  uint32_t seen = 0;
  ASSERT_TRUE(loop_
                  ->watch(fd.get(), EPOLLIN,
                          [&](uint32_t events) {
                            seen |= events;
                            loop_->change(fd.get(), 0);
                          })
                  .ok());
  run_what_is_due();
  EXPECT_EQ(seen, 0U);
}

TEST_F(EventLoopTest, ChangedDescriptorReportsTheNewEvents) {
  UniqueFd fd = silent();
  uint32_t seen = 0;
  ASSERT_TRUE(loop_
                  ->watch(fd.get(), EPOLLIN,
                          [&](uint32_t events) {
                            seen |= events;
                            loop_->stop();
                          })
                  .ok());
  loop_->change(fd.get(), EPOLLOUT);
  loop_->run();
  EXPECT_EQ(seen, static_cast<uint32_t>(EPOLLOUT));
}

TEST_F(EventLoopTest, WatchOfABadDescriptorIsAnError) {
  EXPECT_FALSE(loop_->watch(-1, EPOLLIN, [](uint32_t) {}).ok());
}

}  // namespace
}  // namespace pocket::daemon
