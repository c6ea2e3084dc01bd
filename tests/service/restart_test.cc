// What clients see when pocketd is killed and started again, and when nobody starts it again.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "null_models.h"
#include "outcome.h"
#include "raw_client.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::eventually;
using pocket::testing::fails_with;
using pocket::testing::kMillisecond;
using pocket::testing::outcome_of;
using pocket::testing::service_status;

/// 0: nobody answers.
pid_t pid_of_pocketd(const std::string& socket) {
  const auto status = service_status(socket);
  return status.ok() ? status->pid : 0;
}

/// Calls one after the other in one thread, for as long as nobody says stop.
class ClosedLoop {
 public:
  explicit ClosedLoop(const Model& model) : thread_([this, &model] { loop(model); }) {}
  ~ClosedLoop() { stop_ = true; }

  int answered() const { return answered_; }
  int failed() const { return failed_; }
  /// The first failure that was not retryable, or a wrong answer; empty: none.
  std::string problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
  }

 private:
  void loop(const Model& model) {
    while (!stop_) {
      try {
        call_until_it_fails(model);
      } catch (const StatusError& error) {
        ++failed_;
        if (!error.retryable()) tell(error.what());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // as a client would
      }
    }
  }
  void call_until_it_fails(const Model& model) {
    Call call(model);
    while (!stop_) {
      const auto value = static_cast<float>(answered_);
      call.input<float>(0, {4})[3] = value;
      call.run();
      if (call.output(0).values<float>()[3] != value) tell("a wrong answer");
      ++answered_;
    }
  }
  void tell(const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (problem_.empty()) problem_ = text;
  }

  std::atomic<bool> stop_ = false;
  std::atomic<int> answered_ = 0;
  std::atomic<int> failed_ = 0;
  mutable std::mutex mutex_;
  std::string problem_;  // guarded by mutex_
  std::jthread thread_;
};

TEST(RestartTest, NoCallFailsWhenPocketdIsKilledFiveTimes) {
  pocket::testing::TestService service;
  // Long enough that most kills come in the middle of calls.
  service.add_null_model("echo", std::string("delay_us = 2000\n") + pocket::testing::kEcho);
  pocket::testing::write_file(service.models() + "/echo/model.toml", "concurrency = 4\n");
  ASSERT_TRUE(service.start_supervised()) << service.log();
  const Session session(ConnectOptions{.socket = service.socket(), .retry = false});
  const Model model(session, "echo");
  ClosedLoop loops[4] = {ClosedLoop(model), ClosedLoop(model), ClosedLoop(model),
                         ClosedLoop(model)};
  const auto all_go_on = [&](int count) {
    std::vector<int> before;
    for (const auto& loop : loops) before.push_back(loop.answered());
    return eventually([&] {
      for (size_t i = 0; i < std::size(loops); ++i) {
        if (loops[i].answered() < before[i] + count) return false;
      }
      return true;
    });
  };
  ASSERT_TRUE(all_go_on(3));
  for (int kill = 0; kill < 5; ++kill) {
    const pid_t killed = pid_of_pocketd(service.socket());
    ASSERT_GT(killed, 0);
    const auto began = std::chrono::steady_clock::now();
    ASSERT_EQ(::kill(killed, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] {
      const pid_t now = pid_of_pocketd(service.socket());
      return now != 0 && now != killed;
    })) << service.log();
    ASSERT_TRUE(all_go_on(3)) << "a thread hangs; " << service.log();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    std::printf("kill %d: another pocketd after %.0f ms\n", kill + 1, took.count());
  }
  ASSERT_TRUE(all_go_on(50));
  for (const auto& loop : loops) {
    EXPECT_EQ(loop.problem(), "");
    EXPECT_EQ(loop.failed(), 0) << "a call failed, without any retry";
  }
}

TEST(RestartTest, ACallIsToldWhenPocketdAndItsRunnerDieTogether) {
  for (const auto mode : {POCKET_WAIT_ADAPTIVE, POCKET_WAIT_SPIN, POCKET_WAIT_PARK}) {
    pocket::testing::TestService service;
    service.add_null_model("hang", pocket::testing::kHang);
    pocket::testing::write_file(service.models() + "/hang/model.toml", "warmup = false\n");
    ASSERT_TRUE(service.start()) << service.log();
    const Session session(
        ConnectOptions{.socket = service.socket(), .wait_mode = mode, .retry = false});
    const Model model(session, "hang");
    Call call(model);
    call.input<float>(0, {1})[0] = 1;
    call.submit();
    EXPECT_THAT(outcome_of([&] { call.wait(20 * kMillisecond); }),
                fails_with(POCKET_DEADLINE_EXCEEDED, "still in flight"));
    const auto runners = service.runners();
    ASSERT_EQ(runners.size(), 1u);
    ASSERT_EQ(::kill(service.pid(), SIGSTOP), 0);  // so that it cannot tell the client
    ASSERT_EQ(::kill(runners[0], SIGKILL), 0);
    service.kill_now();
    EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_UNAVAILABLE));
  }
}

}  // namespace
}  // namespace pocket
