#include "log/rate.h"

#include <gtest/gtest.h>

namespace pocket::log {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(Rate, SoManyASecondForEachAndTheRestIsCounted) {
  Rate rate;
  rate.set_limit(3);
  int written = 0;
  for (int index = 0; index < 100; ++index) written += rate.allow({"camera", 0}, kSecond);
  EXPECT_EQ(written, 3);
  // Another kind and another tenant have their own.
  EXPECT_TRUE(rate.allow({"camera", 1}, kSecond));
  EXPECT_TRUE(rate.allow({"shop", 0}, kSecond));
  EXPECT_TRUE(rate.any_left_out());
  const auto left_out = rate.take_left_out(kSecond);
  ASSERT_EQ(left_out.size(), 1U);
  EXPECT_EQ(left_out[0].key, (Rate::Key{"camera", 0}));
  EXPECT_EQ(left_out[0].count, 97U);
  EXPECT_FALSE(rate.any_left_out());
  EXPECT_TRUE(rate.allow({"camera", 0}, 2 * kSecond));
}

TEST(Rate, WhoIsQuietIsForgotten) {
  Rate rate;
  rate.set_limit(2);
  EXPECT_TRUE(rate.allow({"camera", 0}, 0));
  EXPECT_TRUE(rate.take_left_out(kSecond / 10).empty());
  EXPECT_EQ(rate.keys(), 1U);
  EXPECT_TRUE(rate.take_left_out(2 * kSecond).empty());
  EXPECT_EQ(rate.keys(), 0U);
}

TEST(Rate, OneThatStandsForManyCountsAsMany) {
  Rate rate;
  rate.set_limit(1);
  EXPECT_TRUE(rate.allow({"camera", 0}, 0, 50));
  EXPECT_FALSE(rate.allow({"camera", 0}, 0, 50));
  EXPECT_EQ(rate.take_left_out(0).at(0).count, 50U);
}

TEST(Rate, WithoutALimitEverythingIsWritten) {
  Rate rate;
  for (int index = 0; index < 1000; ++index) EXPECT_TRUE(rate.allow({"camera", 0}, 0));
  EXPECT_EQ(rate.keys(), 0U);
}

}  // namespace
}  // namespace pocket::log
