// Cancelled and late calls through the real service: whoever waits is answered at once, and what
// the runner still writes lands in memory that nobody else uses.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <thread>

#include "null_models.h"
#include "outcome.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::fails_with;
using pocket::testing::kMillisecond;
using pocket::testing::kSecond;
using pocket::testing::outcome_of;
using pocket::testing::succeeds;

class CancelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    service_.add_null_model("slow", pocket::testing::kSlowEcho);
    service_.add_null_model("hang", pocket::testing::kHang);
    pocket::testing::write_file(service_.models() + "/hang/model.toml", "warmup = false\n");
    pocket::testing::write_file(service_.models() + "/slow/model.toml", "concurrency = 4\n");
    // A call that hangs never ends: its runner is killed soon when the service ends.
    const std::string config = service_.folder() + "/pocketd.toml";
    pocket::testing::write_file(config, "[service]\ndrain_seconds = 0.1\n");
    ASSERT_TRUE(service_.start({"--config", config})) << service_.log();
  }
  ConnectOptions to_service(pocket_wait_mode mode = POCKET_WAIT_ADAPTIVE) const {
    return ConnectOptions{.socket = service_.socket(), .wait_mode = mode};
  }
  static void fill(Call& call, int64_t count, float value) {
    std::ranges::fill(call.input<float>(0, {count}), value);
  }
  pocket::testing::TestService service_;
};

class CancelInEveryWaitModeTest : public CancelTest,
                                  public ::testing::WithParamInterface<pocket_wait_mode> {};

TEST_P(CancelInEveryWaitModeTest, AWaiterOfARunningCallIsAnswered) {
  const Session session(to_service(GetParam()));
  const Model model(session, "hang");
  for (int round = 0; round < 3; ++round) {
    Call call(model);
    fill(call, 1, 1);
    call.submit();
    EXPECT_THAT(outcome_of([&] { call.wait(20 * kMillisecond); }),
                fails_with(POCKET_DEADLINE_EXCEEDED, "still in flight"));
    std::jthread canceller([&] { call.cancel(); });
    EXPECT_THAT(outcome_of([&] { call.wait(20 * kSecond); }),
                fails_with(POCKET_CANCELLED, "cancelled"));
    EXPECT_TRUE(call.done());
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, CancelInEveryWaitModeTest,
                         ::testing::Values(POCKET_WAIT_ADAPTIVE, POCKET_WAIT_SPIN,
                                           POCKET_WAIT_PARK));

TEST_F(CancelTest, TheOldRunDoesNotWriteIntoTheNextAnswer) {
  const Session session(to_service());
  const Model model(session, "slow");
  Call call(model);
  fill(call, 1000, 1);
  call.run();
  fill(call, 1000, 2);
  call.submit();
  EXPECT_THAT(outcome_of([&] { call.wait(50 * kMillisecond); }),
              fails_with(POCKET_DEADLINE_EXCEEDED));
  call.cancel();
  EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_CANCELLED));
  fill(call, 1000, 3);  // runs beside the cancelled one, which ends first
  call.run();
  EXPECT_TRUE(std::ranges::all_of(call.output(0).values<float>(), [](float v) { return v == 3; }));
}

TEST_F(CancelTest, ManyCancelledCallsLeaveRoomForMore) {
  const Session session(to_service());
  const Model model(session, "echo");
  Call call(model);
  // Three times the slots of a channel, with answers of 100 kB: without reuse neither would last.
  for (int round = 0; round < 768; ++round) {
    fill(call, 25'000, static_cast<float>(round));
    const auto submitted = outcome_of([&] { call.submit(); });
    if (submitted.status == POCKET_BUSY) continue;  // the runner has not caught up yet
    ASSERT_THAT(submitted, succeeds());
    call.cancel();
    const auto ended = outcome_of([&] { call.wait(20 * kSecond); });
    ASSERT_TRUE(ended.status == POCKET_OK || ended.status == POCKET_CANCELLED) << ended.message;
  }
  fill(call, 25'000, 7);
  while (outcome_of([&] { call.submit(); }).status == POCKET_BUSY) std::this_thread::yield();
  call.wait(20 * kSecond);
  EXPECT_EQ(call.output(0).values<float>()[24'999], 7);
}

TEST_F(CancelTest, ADeadlineIsKeptAlsoWhenTheRunnerIsStuck) {
  const Session session(to_service(POCKET_WAIT_PARK));
  const Model model(session, "hang");
  Call call(model);
  fill(call, 1, 1);
  call.submit(50 * kMillisecond);
  EXPECT_THAT(outcome_of([&] { call.wait(); }),
              fails_with(POCKET_DEADLINE_EXCEEDED, "deadline passed", "allow more time"));
  EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_DEADLINE_EXCEEDED));
  fill(call, 1, 1);
  call.submit(1);
  while (!call.done()) std::this_thread::yield();
  EXPECT_THAT(outcome_of([&] { call.wait(0); }), fails_with(POCKET_DEADLINE_EXCEEDED));
}

TEST_F(CancelTest, CancellingMakesTheSessionsDescriptorReadable) {
  Session session(to_service());
  const Model model(session, "hang");
  pollfd entry{session.fd(), POLLIN, 0};
  Call call(model);
  fill(call, 1, 1);
  call.submit();
  EXPECT_EQ(::poll(&entry, 1, 20), 0);
  std::jthread canceller([&] { call.cancel(); });
  EXPECT_EQ(::poll(&entry, 1, 20'000), 1);
  session.poll();
  EXPECT_TRUE(call.done());
  canceller.join();
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
}

TEST_F(CancelTest, ARunningCallMayBeDestroyed) {
  const Session session(to_service());
  const Model model(session, "slow");
  for (int round = 0; round < 3; ++round) {
    Call call(model);
    fill(call, 1000, 1);
    call.submit();
  }
  Call call(model);
  fill(call, 1000, 5);
  call.run();
  EXPECT_EQ(call.output(0).values<float>()[999], 5);
}

TEST_F(CancelTest, CancelsThatMeetAnswersHurtNothing) {
  const Session session(to_service());
  const Model model(session, "echo");
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&model, thread] {
      for (int round = 0; round < 200; ++round) {
        Call call(model);
        fill(call, 100, static_cast<float>(thread));
        call.submit();
        std::jthread canceller([&call] { call.cancel(); });
        const auto ended = outcome_of([&] { call.wait(20 * kSecond); });
        canceller.join();
        if (ended.status == POCKET_OK) {
          EXPECT_EQ(call.output(0).values<float>()[99], static_cast<float>(thread));
        } else {
          EXPECT_THAT(ended, fails_with(POCKET_CANCELLED));
        }
      }
    });
  }
}

}  // namespace
}  // namespace pocket
