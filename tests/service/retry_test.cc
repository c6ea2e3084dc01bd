// Calls that are sent again by themselves when their runner or the service goes away.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
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
using pocket::testing::kSecond;
using pocket::testing::outcome_of;
using pocket::testing::succeeds;

class RetryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("slow", pocket::testing::kSlowEcho);
    service_.add_null_model("hang", pocket::testing::kHang);
    pocket::testing::write_file(service_.models() + "/hang/model.toml", "warmup = false\n");
    const std::string config = service_.folder() + "/pocketd.toml";
    pocket::testing::write_file(config, "[service]\ndrain_seconds = 0.1\n");
    ASSERT_TRUE(service_.start({"--config", config})) << service_.log();
  }
  ConnectOptions to_service() const { return ConnectOptions{.socket = service_.socket()}; }
  /// Kills the one runner while `call`, which was submitted, runs in it.
  void kill_runner_of(Call& call) {
    ASSERT_THAT(outcome_of([&] { call.wait(20 * kMillisecond); }),
                fails_with(POCKET_DEADLINE_EXCEEDED, "still in flight"));
    const auto runners = service_.runners();
    ASSERT_EQ(runners.size(), 1U);
    ASSERT_EQ(::kill(runners[0], SIGKILL), 0);
  }
  pocket::testing::TestService service_;
};

TEST_F(RetryTest, ACallOfADeadRunnerIsAnsweredByTheNextOne) {
  const Session session(to_service());
  const Model model(session, "slow");
  Call call(model);
  const std::span<float> input = call.input<float>(0, {3});
  std::ranges::fill(input, 7.0F);
  call.submit();
  kill_runner_of(call);
  ASSERT_THAT(outcome_of([&] { call.wait(); }), succeeds());
  EXPECT_EQ(call.retries(), 1U);
  EXPECT_EQ(call.output(0).values<float>()[2], 7);
  // The room that the caller got before the death is still the input's.
  std::ranges::fill(input, 8.0F);
  call.run();
  EXPECT_EQ(call.retries(), 0U);
  EXPECT_EQ(call.output(0).values<float>()[2], 8);
  const std::span<float> other = call.input<float>(0, {2});
  std::ranges::fill(other, 9.0F);
  call.run();
  EXPECT_EQ(call.output(0).values<float>()[1], 9);
}

TEST_F(RetryTest, ItCanBeSwitchedOff) {
  for (const bool by_environment : {false, true}) {
    if (by_environment) ::setenv("POCKET_RETRY", "0", 1);
    auto options = to_service();
    options.retry = by_environment;
    const Session session(options);
    ::unsetenv("POCKET_RETRY");
    const Model model(session, "slow");
    Call call(model);
    call.input<float>(0, {1})[0] = 1;
    call.submit();
    kill_runner_of(call);
    EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_UNAVAILABLE, "try again"));
    EXPECT_EQ(call.retries(), 0U);
  }
}

TEST_F(RetryTest, TheDeadlineAndTheTimeOfAWaitHold) {
  const Session session(to_service());
  const Model model(session, "hang");
  Call call(model);
  call.input<float>(0, {1})[0] = 1;
  call.submit(2 * kSecond);
  kill_runner_of(call);
  // Sent again, it hangs again; its deadline is still the one of the submission.
  EXPECT_THAT(outcome_of([&] { call.wait(300 * kMillisecond); }),
              fails_with(POCKET_DEADLINE_EXCEEDED, "still in flight"));
  EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_DEADLINE_EXCEEDED));
  EXPECT_LE(call.retries(), 1U);
}

TEST_F(RetryTest, ACallThatIsToBeSentAgainCanBeCancelled) {
  const Session session(to_service());
  const Model model(session, "slow");
  Call call(model);
  call.input<float>(0, {1})[0] = 1;
  call.submit();
  kill_runner_of(call);
  service_.kill_now();  // nobody starts it again
  std::jthread other([&] { call.cancel(); });
  EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_CANCELLED));
}

TEST_F(RetryTest, AModelThatIsHeldBackIsAskedForWhenTheServiceSays) {
  const Session session(to_service());
  for (int crash = 0; crash < 3; ++crash) {
    const Model model(session, "slow");
    const auto runners = service_.runners();
    ASSERT_EQ(runners.size(), 1U);
    ASSERT_EQ(::kill(runners[0], SIGKILL), 0);
    ASSERT_TRUE(eventually([&] { return service_.runners().empty(); }));
  }
  auto impatient = pocket::testing::RawClient::greeted(service_.socket());
  ASSERT_TRUE(impatient.ok());
  wire::control::OpenModelT open;
  open.name = "slow";
  const auto refused = impatient->ask(std::move(open));
  ASSERT_TRUE(refused.ok()) << refused.error().message;
  const auto* failed = refused->body.AsFailed();
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->status, POCKET_BUSY);
  EXPECT_GT(failed->retry_after_us, 0U);
  EXPECT_LE(failed->retry_after_us, 1'000'000U) << "after three crashes";
  // The audit trail is the log here.
  const auto refusals = [&] {
    size_t lines = 0;
    const std::string log = service_.log(), sign = "status=BUSY";
    for (size_t at = log.find(sign); at != log.npos; at = log.find(sign, at + 1)) ++lines;
    return lines;
  };
  const size_t before = refusals();
  EXPECT_GT(before, 0U);
  EXPECT_THAT(outcome_of([&] { const Model model(session, "slow"); }), succeeds());
  EXPECT_LE(refusals(), before + 1) << "it asked again and again:\n" << service_.log();
}

TEST_F(RetryTest, AServiceThatIsGoneIsNotWaitedForForEver) {
  const Session session(to_service());
  const Model model(session, "slow");
  Call call(model);
  call.input<float>(0, {1})[0] = 1;
  call.submit();
  kill_runner_of(call);
  service_.kill_now();
  EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_UNAVAILABLE));
}

TEST_F(RetryTest, AKeptTensorOfADeadRunnerIsNotSentAgain) {
  const Session session(to_service());
  const Model model(session, "slow");
  Call call(model);
  call.input<float>(0, {1})[0] = 1;
  call.keep_output(0);
  call.run();
  Call second(model);
  second.input_kept(0, call.kept_output(0));
  second.submit();
  kill_runner_of(second);
  EXPECT_THAT(outcome_of([&] { second.wait(); }), fails_with(POCKET_UNAVAILABLE));
  EXPECT_EQ(second.retries(), 0U);
}

}  // namespace
}  // namespace pocket
