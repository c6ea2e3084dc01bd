#include "runner/admission.h"

#include <gtest/gtest.h>

#include "runner/channel.h"

namespace pocket::runner {
namespace {

constexpr double kMs = 1e6;
constexpr uint64_t kSecond = 1'000'000'000;

class AdmissionTest : public testing::Test {
 protected:
  std::optional<Refusal> admit(uint64_t now_ns = 1, size_t queued = 0) {
    return tenant_.admit(now_ns, queued, *client_, 5 * kMs);
  }
  void push(int calls) {
    for (int call = 0; call < calls; ++call) channel_.push(std::make_unique<Call>());
  }
  const std::shared_ptr<Flow> root_ = std::make_shared<Flow>();
  const std::shared_ptr<Flow> flow_ = std::make_shared<Flow>(root_);
  const std::shared_ptr<Flow> client_ = std::make_shared<Flow>(flow_);
  Flow channel_{client_};
  Tenant tenant_{flow_};
};

TEST_F(AdmissionTest, NothingSaidIsNoLimit) {
  push(1000);
  EXPECT_FALSE(admit());
}

TEST_F(AdmissionTest, CallsInFlightAreThoseThatWaitAndRun) {
  tenant_.set_rules({"red", 100, 0, 2, 0, 0});
  push(2);
  channel_.serve(0);
  const auto refused = admit();
  ASSERT_TRUE(refused);
  EXPECT_GE(refused->retry_after_ns, 5'000'000U);
  EXPECT_NE(refused->message.find("tenant.red.in_flight"), std::string::npos) << refused->message;
  EXPECT_NE(refused->message.find("try again in 5 ms"), std::string::npos) << refused->message;
  channel_.ended(0);
  EXPECT_FALSE(admit());
}

TEST_F(AdmissionTest, FullQueueRefusesThoseWhoFilledIt) {
  EXPECT_FALSE(admit(1, kMostQueued));  // has nothing waiting
  push(kAlwaysQueued);
  EXPECT_FALSE(admit(1, kMostQueued - 1));
  EXPECT_TRUE(admit(1, kMostQueued));
}

TEST_F(AdmissionTest, CallsOfASecondComeInTime) {
  tenant_.set_rules({"red", 100, 0, 0, 100, 0});
  int taken = 0;
  for (int call = 0; call < 50; ++call) taken += admit(kSecond) ? 0 : 1;
  EXPECT_EQ(taken, 10);  // a tenth of a second's
  const auto refused = admit(kSecond);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->retry_after_ns, 10'000'000U);
  // Whoever follows the hint is served.
  EXPECT_FALSE(admit(kSecond + refused->retry_after_ns));
  EXPECT_TRUE(admit(kSecond + refused->retry_after_ns));
}

TEST_F(AdmissionTest, ProcessorTimeIsPaidBackBeforeTheNextCall) {
  tenant_.set_rules({"red", 100, 0, 0, 0, 0.5});
  EXPECT_FALSE(admit(kSecond));
  tenant_.used(550 * kMs);  // 50 were saved: half a second is owed
  const auto refused = admit(kSecond);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->retry_after_ns, kSecond);
  EXPECT_NE(refused->message.find("tenant.red.cpu_share"), std::string::npos) << refused->message;
  EXPECT_TRUE(admit(kSecond + kSecond / 2));
  EXPECT_FALSE(admit(2 * kSecond));
}

TEST_F(AdmissionTest, NobodySavesUpCalls) {
  tenant_.set_rules({"red", 100, 0, 0, 100, 0});
  int taken = 0;
  EXPECT_FALSE(admit(kSecond));
  for (int call = 0; call < 500; ++call) taken += admit(3600 * kSecond) ? 0 : 1;
  EXPECT_EQ(taken, 10);
}

}  // namespace
}  // namespace pocket::runner
