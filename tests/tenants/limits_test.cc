// What a tenant may have: each limit is told by its name, and all of it is free again when a client
// is gone.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "fixture.h"

namespace pocket::testing {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

class LimitsTest : public TenantsTest {
 protected:
  void start_with(const std::string& limits) {
    configure(own_socket("camera") + own_socket("shop") + "[tenant.camera]\n" + limits +
              "[tenant.shop]\n");
    start();
  }
  Session connect(const std::string& tenant = "camera") const {
    return Session(through(socket_of(tenant)));
  }
  static Outcome calling(const Model& model) {
    return outcome_of([&] {
      Call call(model);
      call.input<float>(0, {4})[0] = 1;
      call.run();
    });
  }
};

TEST_F(LimitsTest, Sessions) {
  start_with("sessions = 2\n");
  const Session first = connect();
  {
    const Session second = connect();
    EXPECT_THAT(outcome_of([&] { connect(); }), fails_with(POCKET_BUSY, "tenant.camera.sessions"));
    connect("shop");
  }
  EXPECT_TRUE(eventually([&] { return tenant("camera").sessions == 1; }));
  connect();
}

TEST_F(LimitsTest, Channels) {
  start_with("channels = 2\n");
  const Session session = connect(), other = connect();
  const Model first(session, "echo");
  const auto open = [&] { const Model model(session, "echo"); };
  {
    const Model second(other, "echo");
    EXPECT_THAT(outcome_of(open), fails_with(POCKET_RESOURCE_EXHAUSTED, "tenant.camera.channels"));
    const Session stranger = connect("shop");
    const Model third(stranger, "echo");
  }
  EXPECT_THAT(outcome_of(open), succeeds());
}

TEST_F(LimitsTest, SharedBytes) {
  start_with("shared_bytes = 8388608\n");  // a channel of echo has a little over 2 MiB
  const Session session = connect(), other = connect();
  const Model first(session, "echo"), second(other, "echo");
  const auto grow = [](const Model& model) {
    return outcome_of([&] {
      Call call(model);
      call.input<float>(0, {2'000'000})[0] = 1;  // 8 MB
      call.run();
    });
  };
  const auto refused = fails_with(POCKET_RESOURCE_EXHAUSTED, "tenant.camera.shared_bytes");
  EXPECT_THAT(grow(first), refused);
  EXPECT_THAT(calling(first), succeeds()) << "what it has goes on";
  const Model third(session, "echo");
  EXPECT_THAT(outcome_of([&] { const Model model(session, "echo"); }), refused);
  const Session stranger = connect("shop");
  const Model foreign(stranger, "echo");
  EXPECT_THAT(grow(foreign), succeeds());
  EXPECT_LE(tenant("camera").region_bytes, 8388608U);
}

TEST_F(LimitsTest, CallsInFlightOfAllChannelsTogether) {
  start_with("in_flight = 3\n");
  const Session session = connect(), other = connect();
  const Model first(session, "slow"), second(other, "slow");
  std::deque<Call> calls;
  for (int index = 0; index < 8; ++index) {
    Call& call = calls.emplace_back(index % 2 == 0 ? first : second);
    call.input<float>(0, {4})[0] = 1;
    call.submit();
  }
  int answered = 0, refused = 0;
  for (Call& call : calls) {
    const Outcome outcome = outcome_of([&] { call.wait(); });
    if (outcome.status == POCKET_OK) {
      ++answered;
    } else {
      EXPECT_THAT(outcome, fails_with(POCKET_BUSY, "tenant 'camera'", "in_flight", "try again"));
      ++refused;
    }
  }
  // Taken in within the 0.2 s that a call takes, or some of the later ones find a place free.
  EXPECT_GE(answered, 3);
  EXPECT_GE(refused, 1);
  EXPECT_THAT(calling(first), succeeds()) << "not now was not never";
  // One after the other never meets the limit, however fast.
  const Model fast(session, "echo");
  for (int index = 0; index < 200; ++index) ASSERT_THAT(calling(fast), succeeds());
}

TEST_F(LimitsTest, CallsPerSecond) {
  constexpr int kRate = 20;
  constexpr double kBurstSeconds = 0.1;
  start_with("calls_per_second = 20\n");
  const Session session = connect(), other = connect();
  const Model first(session, "echo"), second(other, "echo");
  const uint64_t began = monotonic_ns();
  int answered = 0, refused = 0;
  while (refused < 30) {
    const Outcome outcome = calling((answered + refused) % 2 == 0 ? first : second);
    if (outcome.status == POCKET_OK) {
      ++answered;
      continue;
    }
    ASSERT_THAT(outcome,
                fails_with(POCKET_BUSY, "tenant 'camera'", "calls_per_second", "try again in"));
    ASSERT_EQ(pocket_status_is_retryable(outcome.status), 1);
    ++refused;
  }
  const double seconds = static_cast<double>(monotonic_ns() - began) / 1e9;
  EXPECT_THAT(answered, AllOf(Ge(1), Le(static_cast<int>((kBurstSeconds + seconds) * kRate) + 2)));
  const Session stranger = connect("shop");
  const Model foreign(stranger, "echo");
  for (int index = 0; index < 3 * kRate; ++index) ASSERT_THAT(calling(foreign), succeeds());
  EXPECT_TRUE(eventually([&] { return calling(first).status == POCKET_OK; }));
}

TEST_F(LimitsTest, ShareOfProcessorTime) {
  start_with("cpu_share = 0.01\n");
  const Session session = connect(), stranger = connect("shop");
  const Model model(session, "busy"), foreign(stranger, "busy");
  Outcome outcome;
  int answered = 0;
  while (outcome.status == POCKET_OK && answered < 100) {
    outcome = calling(model);
    answered += outcome.status == POCKET_OK;
  }
  EXPECT_THAT(outcome, fails_with(POCKET_BUSY, "tenant 'camera'", "cpu_share", "try again in"));
  EXPECT_GE(answered, 1);
  for (int index = 0; index < 5; ++index) EXPECT_THAT(calling(foreign), succeeds());
}

TEST_F(LimitsTest, WhatAKilledClientHadIsFree) {
  start_with("sessions = 1\nchannels = 3\nshared_bytes = 16777216\nin_flight = 2\n");
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Session session = connect();
    std::vector<std::unique_ptr<Model>> models;
    for (int index = 0; index < 3; ++index) {
      models.push_back(std::make_unique<Model>(session, index == 0 ? "slow" : "echo"));
    }
    Call running(*models[0]), waiting(*models[0]);
    for (Call* call : {&running, &waiting}) {
      call->input<float>(0, {4})[0] = 1;
      call->submit();
    }
    (void)!::write(pipe[1], "x", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ::close(pipe[1]);
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  ::close(pipe[0]);
  const auto had = tenant("camera");
  EXPECT_EQ(had.sessions, 1U);
  EXPECT_EQ(had.channels, 3U);
  EXPECT_GT(had.region_bytes, 3U << 20);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  const uint64_t killed = monotonic_ns();
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(eventually([&] {
    const auto has = tenant("camera");
    return has.sessions == 0 && has.channels == 0 && has.region_bytes == 0;
  }));
  std::printf("all of it was free %.1f ms after kill -9\n",
              static_cast<double>(monotonic_ns() - killed) / 1e6);
  // Calls that nobody waits for hold no place: the one that runs ends by itself.
  const Session next = connect();
  const Model model(next, "slow");
  EXPECT_TRUE(eventually([&] { return calling(model).status == POCKET_OK; }));
}

}  // namespace
}  // namespace pocket::testing
