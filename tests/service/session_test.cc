// Several threads in one session, and requests that are given up.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

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

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    // Its warm-up, which is part of loading, takes a while.
    service_.add_null_model("long", std::string("delay_us = 1500000\n") + pocket::testing::kEcho);
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  /// Channels that the session of this name has at the service; -1: there is no such session.
  int channels(const std::string& name) const {
    const auto status = service_status(service_.socket());
    if (!status.ok()) return -1;
    for (const auto& entry : status->sessions) {
      if (entry->name == name) return static_cast<int>(entry->channels);
    }
    return -1;
  }
  pocket::testing::TestService service_;
};

TEST_F(SessionTest, ALongLoadDoesNotHoldUpOtherRequests) {
  const Session session(ConnectOptions{.socket = service_.socket()});
  { const Model loaded(session, "echo"); }
  std::atomic<bool> opening = false;
  std::atomic<bool> opened = false;
  std::jthread loader([&] {
    opening = true;
    const Model model(session, "long");
    opened = true;
  });
  while (!opening) std::this_thread::yield();
  for (int round = 0; round < 5; ++round) {
    const Model model(session, "echo");
    Call call(model);
    // More than the first regions hold: memory is added, which is a request too.
    call.input<float>(0, {1'000'000})[0] = 3;
    call.run();
    EXPECT_EQ(call.output(0).values<float>()[0], 3);
  }
  EXPECT_FALSE(opened.load()) << "the load was over too soon to hold anything up";
}

TEST_F(SessionTest, ManyThreadsAskAtOnce) {
  const Session session(ConnectOptions{.socket = service_.socket()});
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 25; ++round) {
        const Model model(session, "echo");
        Call call(model);
        call.input<float>(0, {4})[3] = 9;
        call.run();
        EXPECT_EQ(call.output(0).values<float>()[3], 9);
      }
    });
  }
}

TEST_F(SessionTest, AnOpenThatWasGivenUpIsClosedAgain) {
  const Session session(ConnectOptions{.socket = service_.socket(), .client_name = "impatient"});
  EXPECT_THAT(outcome_of([&] {
                const Model model(session, "long", OpenOptions{.timeout_ns = 20 * kMillisecond});
              }),
              fails_with(POCKET_DEADLINE_EXCEEDED, "did not answer in time"));
  ASSERT_TRUE(eventually([&] { return channels("impatient") == 1; }));
  EXPECT_THAT(outcome_of([&] { const Model model(session, "none"); }),
              fails_with(POCKET_NOT_FOUND));  // any request takes the late answer in
  EXPECT_TRUE(eventually([&] { return channels("impatient") == 0; }));
}

}  // namespace
}  // namespace pocket
