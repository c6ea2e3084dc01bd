// A request that ends its runner again and again, beside clients that do nothing wrong.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "service.h"
#include "wire/control.h"

namespace pocket {
namespace {

using pocket::testing::fails_with;
using pocket::testing::kSecond;
using pocket::testing::outcome_of;
using pocket::testing::succeeds;

constexpr const char* kFragile =
    "mode = 'echo'\ncrash_above = 100\n"
    "[[inputs]]\nname = 'x'\ndtype = 'uint8'\nshape = [-1]\n"
    "[[outputs]]\nname = 'y'\ndtype = 'uint8'\nshape = [-1]\n";

class QuarantineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("fragile", kFragile);
    ASSERT_TRUE(start()) << service_.log();
  }
  virtual bool start() { return service_.start(); }
  void TearDown() override {
    EXPECT_EQ(service_.stop(), 0) << service_.log();
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  /// Two bytes; the first above 100 ends the runner.
  static pocket::testing::Outcome run(const Model& model, uint8_t first, uint8_t second = 0) {
    return outcome_of([&] {
      Call call(model);
      const auto input = call.input<uint8_t>(0, {2});
      input[0] = first;
      input[1] = second;
      call.run(30 * kSecond);
      EXPECT_EQ(call.output(0).values<uint8_t>()[1], second);
    });
  }
  wire::control::QuarantineT quarantined(bool clear = false) {
    auto admin = pocket::testing::RawClient::greeted(service_.socket());
    wire::control::GetQuarantineT ask;
    ask.clear = clear;
    auto reply = admin->ask(std::move(ask));
    if (!reply.ok() || reply->body.AsQuarantine() == nullptr) {
      ADD_FAILURE() << "the service does not say what is quarantined";
      return {};
    }
    return std::move(*reply->body.AsQuarantine());
  }
  pocket::testing::TestService service_;
};

TEST_F(QuarantineTest, ARequestThatEndsItsRunnerTwiceIsRefusedFromThenOn) {
  const Session session(ConnectOptions{.socket = service_.socket()});
  const Model model(session, "fragile");
  EXPECT_THAT(run(model, 1), succeeds());
  EXPECT_TRUE(quarantined().requests.empty());
  // The library sends it again by itself, until it hears that this is no use.
  EXPECT_THAT(run(model, 200, 7), fails_with(POCKET_INVALID_ARGUMENT));
  const auto listed = quarantined();
  ASSERT_EQ(listed.requests.size(), 1U);
  EXPECT_EQ(listed.requests[0]->model, "fragile");
  EXPECT_EQ(listed.requests[0]->crashes, 2U);
  EXPECT_NE(listed.requests[0]->client.find("user "), std::string::npos);
  const auto before = service_.runners();
  ASSERT_EQ(before.size(), 1U);
  for (int again = 0; again < 3; ++again) {
    EXPECT_THAT(run(model, 200, 7), fails_with(POCKET_INVALID_ARGUMENT));
    EXPECT_THAT(run(model, 2), succeeds());
  }
  EXPECT_EQ(service_.runners(), before) << "the runner ended once more";
  // Who clears it gets what they asked for.
  EXPECT_EQ(quarantined(true).requests.size(), 1U);
  EXPECT_TRUE(quarantined().requests.empty());
  EXPECT_THAT(run(model, 200, 7), fails_with(POCKET_INVALID_ARGUMENT));
  EXPECT_TRUE(pocket::testing::eventually([&] { return service_.runners() != before; }))
      << "the runner had not heard of it";
}

TEST_F(QuarantineTest, ARunnerThatIsKilledAccusesNobody) {
  const Session session(ConnectOptions{.socket = service_.socket()});
  const Model model(session, "fragile");
  for (int kill = 0; kill < 3; ++kill) {
    EXPECT_THAT(run(model, 1), succeeds());
    const auto runners = service_.runners();
    ASSERT_EQ(runners.size(), 1U);
    ::kill(runners.front(), SIGKILL);
  }
  EXPECT_THAT(run(model, 1), succeeds());
  EXPECT_TRUE(quarantined().requests.empty());
}

TEST_F(QuarantineTest, AClientWithOneSuchRequestAfterAnotherIsKeptFromTheModel) {
  {
    const Session session(ConnectOptions{.socket = service_.socket()});
    const Model model(session, "fragile");
    for (uint8_t number = 0; number < 3; ++number) {
      EXPECT_THAT(run(model, 200, number), ::testing::Not(succeeds()));
    }
  }
  const Session session(ConnectOptions{.socket = service_.socket()});
  EXPECT_THAT(outcome_of([&] { const Model model(session, "fragile"); }),
              fails_with(POCKET_PERMISSION_DENIED));
  quarantined(true);
  EXPECT_THAT(outcome_of([&] { const Model model(session, "fragile"); }), succeeds());
}

TEST_F(QuarantineTest, AClientThatRepeatsItselfBesideABadOneIsNotAccused) {
  service_.add_null_model("slow_fragile", std::string("delay_us = 20000\n") + kFragile);
  std::atomic<bool> stop = false;
  std::jthread victim([&] {
    const Session own(ConnectOptions{.socket = service_.socket()});
    const Model same(own, "slow_fragile");
    while (!stop) EXPECT_THAT(run(same, 1, 1), succeeds());
  });
  const Session session(ConnectOptions{.socket = service_.socket()});
  const Model model(session, "slow_fragile");
  EXPECT_THAT(run(model, 200, 1), fails_with(POCKET_INVALID_ARGUMENT));
  EXPECT_THAT(run(model, 200, 2), fails_with(POCKET_INVALID_ARGUMENT));
  stop = true;
  victim.join();
  EXPECT_EQ(quarantined().requests.size(), 2U);
}

class SupervisedQuarantineTest : public QuarantineTest {
 protected:
  bool start() override { return service_.start_supervised(); }
  int answering() const {
    const auto status = pocket::testing::service_status(service_.socket());
    return status.ok() ? status->pid : 0;
  }
};

TEST_F(SupervisedQuarantineTest, TheNextPocketdKnowsIt) {
  const Session session(ConnectOptions{.socket = service_.socket()});
  const Model model(session, "fragile");
  EXPECT_THAT(run(model, 200, 7), fails_with(POCKET_INVALID_ARGUMENT));
  const auto listed = quarantined();
  ASSERT_EQ(listed.requests.size(), 1U);
  for (int kill = 0; kill < 2; ++kill) {
    const int pid = answering();
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_TRUE(pocket::testing::eventually([&] {
      const int now = answering();
      return now != pid && now != 0;
    }));
    const auto again = quarantined();
    ASSERT_EQ(again.requests.size(), 1U);
    EXPECT_EQ(again.requests[0]->digest, listed.requests[0]->digest);
    EXPECT_EQ(again.requests[0]->client, listed.requests[0]->client);
    EXPECT_THAT(run(model, 200, 7), fails_with(POCKET_INVALID_ARGUMENT));
    EXPECT_THAT(run(model, 1), succeeds());
  }
  // A runner that the last pocketd starts itself is told as well.
  EXPECT_THAT(run(model, 200, 8), fails_with(POCKET_INVALID_ARGUMENT));
  EXPECT_EQ(quarantined(true).requests.size(), 2U);
  const int pid = answering();
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_TRUE(pocket::testing::eventually([&] { return answering() != pid && answering() != 0; }));
  EXPECT_TRUE(quarantined().requests.empty()) << "what was cleared came back";
}

}  // namespace
}  // namespace pocket
