#include "lease/policy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

namespace pocket::lease {
namespace {

Policy parsed(std::string_view text) {
  auto policy = parse_policy(text);
  EXPECT_TRUE(policy.ok()) << text << ": " << policy.error().message;
  return policy.ok() ? *policy : Policy{};
}

/// The message with which `text` is refused.
std::string refusal(std::string_view text) {
  auto policy = parse_policy(text);
  EXPECT_FALSE(policy.ok()) << text << " was taken as " << to_string(*policy);
  if (policy.ok()) return "";
  EXPECT_EQ(policy.error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_NE(policy.error().message.find(kPolicyGrammar), std::string::npos);
  return policy.error().message;
}

TEST(Policy, Grammar) {
  const int64_t half = kWholeRatio / 2;
  EXPECT_EQ(parsed("func,ratio,0.5"), (Policy{Granularity::kFunc, Amount::kRatio, half}));
  EXPECT_EQ(parsed(" conn ,\tratio , 0.5 \n"), (Policy{Granularity::kConn, Amount::kRatio, half}));
  EXPECT_EQ(parsed("func,minimum"), (Policy{Granularity::kFunc, Amount::kMinimum, 0}));
  EXPECT_EQ(parsed("conn, none"), (Policy{Granularity::kConn, Amount::kNone, 0}));
  EXPECT_EQ(parsed("none"), (Policy{Granularity::kFunc, Amount::kNone, 0}));
  EXPECT_EQ(parsed("adaptive"), (Policy{Granularity::kAdaptive, Amount::kRatio, half}));
  EXPECT_EQ(parsed("idle"), (Policy{Granularity::kIdle, Amount::kRatio, half}));
  EXPECT_EQ(parsed("idle,ratio,.25"),
            (Policy{Granularity::kIdle, Amount::kRatio, kWholeRatio / 4}));
  EXPECT_EQ(parsed("adaptive,ratio,0.999999999").ratio, kWholeRatio - 1);
  EXPECT_EQ(parsed("func,ratio,0").ratio, 0);
  EXPECT_EQ(parsed("func,ratio,00.000").ratio, 0);
}

TEST(Policy, RefusalsSayWhy) {
  EXPECT_NE(refusal("fnc,ratio,0.5").find("did you mean 'func'?"), std::string::npos);
  EXPECT_NE(refusal("adaptve").find("did you mean 'adaptive'?"), std::string::npos);
  EXPECT_NE(refusal("func,ration,0.5").find("did you mean 'ratio'?"), std::string::npos);
  EXPECT_NE(refusal("func,minimun").find("did you mean 'minimum'?"), std::string::npos);
  EXPECT_NE(refusal("idle,minimum").find("'minimum' is not known"), std::string::npos);
  EXPECT_NE(refusal("").find("empty"), std::string::npos);
  EXPECT_NE(refusal(" \t").find("empty"), std::string::npos);
  EXPECT_NE(refusal("func").find("the amount after 'func' is missing"), std::string::npos);
  EXPECT_NE(refusal("func,").find("a word is missing"), std::string::npos);
  EXPECT_NE(refusal("func,ratio").find("the ratio is missing"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,").find("the ratio is missing"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,1").find("not below 1"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,1.0").find("not below 1"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,1.5").find("not below 1"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,-0.5").find("negative"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,-0").find("negative"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,0,5").find("written with a point"), std::string::npos);
  EXPECT_NE(refusal("func,ratio,0.1234567891").find("9 decimals"), std::string::npos);
  for (const char* ratio : {"NaN", "nan", "inf", "Infinity", "+0.5", "0x0.8", "1e-1", "0.5f", ".",
                            "0.", "0.5.5", "0. 5", "half"}) {
    EXPECT_NE(refusal(std::string("func,ratio,") + ratio).find("plain decimal"), std::string::npos)
        << ratio;
  }
  EXPECT_NE(refusal("none,ratio").find("nothing may follow 'none'"), std::string::npos);
  EXPECT_NE(refusal("func,minimum,0.5").find("nothing may follow 'minimum'"), std::string::npos);
  EXPECT_NE(refusal(std::string(100'000, 'f')).find("too long"), std::string::npos);
  EXPECT_EQ(refusal("\x01\x1b[2J").find('\x1b'), std::string::npos);
}

TEST(Policy, ToStringRoundTrip) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Policy policy;
    policy.granularity = static_cast<Granularity>(random() % 4);
    const bool own = policy.granularity >= Granularity::kAdaptive;
    policy.amount = own ? Amount::kRatio : static_cast<Amount>(random() % 3);
    policy.ratio = policy.amount != Amount::kRatio ? 0
                   : i % 2 == 0                    ? static_cast<int64_t>(random() % kWholeRatio)
                                : static_cast<int64_t>(random() % 100) * 10'000'000;
    ASSERT_EQ(parsed(to_string(policy)), policy) << to_string(policy);
  }
  EXPECT_EQ(to_string(parsed("func,ratio,0.500")), "func,ratio,0.5");
  EXPECT_EQ(to_string(parsed("conn,ratio,0.0")), "conn,ratio,0");
  EXPECT_EQ(to_string(parsed("none")), "func,none");
}

/// Nothing that is not in the grammar is taken, whatever the bytes; what is taken has a sane ratio.
TEST(Policy, RandomBytes) {
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  const std::string_view pieces[] = {"func", "conn",     "adaptive", "idle", "none", "ratio",
                                     ",",    "minimum",  "0.5",      "1",    "-",    ".",
                                     "nan",  "infinity", " ",        "e",    "0",    "9999999999"};
  int taken = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string text;
    const size_t parts = random() % 9;
    for (size_t part = 0; part < parts; ++part) {
      if (random() % 8 == 0) {
        text += static_cast<char>(random());
      } else {
        text += pieces[random() % std::size(pieces)];
      }
    }
    auto policy = parse_policy(text);
    if (!policy.ok()) continue;
    ++taken;
    ASSERT_GE(policy->ratio, 0) << text;
    ASSERT_LT(policy->ratio, kWholeRatio) << text;
    ASSERT_EQ(text.find("nan"), std::string::npos) << text;
    ASSERT_EQ(text.find("inf"), std::string::npos) << text;
    ASSERT_EQ(text.find('-'), std::string::npos) << text;
    auto again = parse_policy(to_string(*policy));
    ASSERT_TRUE(again.ok() && *again == *policy) << text;
    if (policy->amount == Amount::kRatio && text.find("ratio") != std::string::npos) {
      const double number = std::strtod(text.c_str() + text.rfind(',') + 1, nullptr);
      ASSERT_NEAR(number, static_cast<double>(policy->ratio) / kWholeRatio, 1e-9) << text;
    }
  }
  EXPECT_GT(taken, 20);
}

constexpr int64_t kMiB = 1 << 20;

TEST(Wanted, RatioIsExact) {
  EXPECT_EQ(wanted(parsed("func,ratio,0.8"), Resource::kCpu, {130'000, 100'000}).amount, 104'000);
  EXPECT_EQ(wanted(parsed("func,ratio,0.29"), Resource::kCpu, {1'000'000, 33'333}).amount, 290'000);
  EXPECT_EQ(wanted(parsed("func,ratio,0.333"), Resource::kCpu, {12'345, 10'000}).amount, 4110);
  EXPECT_EQ(wanted(parsed("func,ratio,0.8"), Resource::kMemory, {128 * kMiB, 0}).amount,
            107'374'182 / kPageBytes * kPageBytes);
  EXPECT_EQ(wanted(parsed("func,ratio,0.5"), Resource::kMemory, {int64_t{1} << 60, 0}).amount,
            int64_t{1} << 59);
}

TEST(Wanted, MinimumIsNeverNegative) {
  const Policy minimum = parsed("func,minimum");
  EXPECT_EQ(wanted(minimum, Resource::kMemory, {128 * kMiB, 0}).amount, 0);
  EXPECT_STREQ(wanted(minimum, Resource::kMemory, {128 * kMiB, 0}).reason,
               "the limit is too small to lend from");
  EXPECT_EQ(wanted(minimum, Resource::kMemory, {512 * kMiB, 0}).amount, 312 * kMiB);
  EXPECT_EQ(wanted(minimum, Resource::kCpu, {130'000, 100'000}).amount, 90'000);
  EXPECT_EQ(wanted(minimum, Resource::kCpu, {130'000, 50'000}).amount, 45'000);
  EXPECT_EQ(wanted(minimum, Resource::kCpu, {20'000, 100'000}).amount, 19'000);
  EXPECT_EQ(wanted(minimum, Resource::kCpu, {1000, 100'000}).amount, 0);
}

TEST(Wanted, KeepsTheSmallestQuota) {
  EXPECT_EQ(wanted(parsed("func,ratio,0.99"), Resource::kCpu, {5000, 100'000}).amount, 4000);
  EXPECT_EQ(wanted(parsed("func,ratio,0.5"), Resource::kCpu, {500, 100'000}).amount, 0);
}

TEST(Wanted, NothingAndUnlimited) {
  EXPECT_EQ(wanted(parsed("func,ratio,0.5"), Resource::kCpu, {kUnlimited, 100'000}).amount, 0);
  EXPECT_STREQ(wanted(parsed("conn,minimum"), Resource::kMemory, {kUnlimited, 0}).reason,
               "unlimited");
  EXPECT_EQ(wanted(parsed("none"), Resource::kCpu, {130'000, 100'000}).amount, 0);
  EXPECT_STREQ(wanted(parsed("none"), Resource::kCpu, {kUnlimited, 100'000}).reason, "");
  EXPECT_EQ(wanted(parsed("func,ratio,0"), Resource::kCpu, {130'000, 100'000}).amount, 0);
}

}  // namespace
}  // namespace pocket::lease
