#include "client/retry.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"

namespace pocket::client {
namespace {

const Error kGone{POCKET_UNAVAILABLE, "gone"};

TEST(RetryTest, PausesGrowUpToABound) {
  Retry retry;
  retry.begin(kForever);
  uint64_t longest = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    const auto pause = retry.pause_ns(kGone, false);
    ASSERT_TRUE(pause.has_value());
    if (attempt == 0) {
      EXPECT_LE(*pause, 1'000'000U);
    }
    longest = std::max(longest, *pause);
  }
  EXPECT_GE(longest, 100'000'000U);
  EXPECT_LE(longest, 200'000'000U);
}

TEST(RetryTest, OnlyWhatMaySucceedLaterIsTriedAgain) {
  Retry retry;
  retry.begin(kForever);
  EXPECT_TRUE(retry.pause_ns({POCKET_BUSY, "full"}, false).has_value());
  for (const auto code : {POCKET_INVALID_ARGUMENT, POCKET_ENGINE_ERROR, POCKET_CANCELLED,
                          POCKET_DEADLINE_EXCEEDED, POCKET_FAILED_PRECONDITION}) {
    EXPECT_FALSE(retry.pause_ns({code, "no"}, false).has_value()) << pocket_status_name(code);
  }
}

TEST(RetryTest, TheDeadlineEndsIt) {
  Retry retry;
  retry.begin(monotonic_ns() - 1);
  EXPECT_FALSE(retry.pause_ns(kGone, false).has_value());
  const uint64_t soon = monotonic_ns() + 300'000;
  retry.begin(soon);
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto pause = retry.pause_ns(kGone, false);
    if (pause) {
      EXPECT_LE(*pause, 300'000U) << "a pause beyond the deadline";
    }
  }
}

TEST(RetryTest, WhoSaysWhenIsBelieved) {
  Retry retry;
  constexpr uint64_t kSaid = 3 * kNanosecondsPerSecond;
  retry.begin(kForever);
  const auto pause = retry.pause_ns({POCKET_BUSY, "later", kSaid}, false);
  ASSERT_TRUE(pause.has_value());
  EXPECT_GE(*pause, kSaid);
  EXPECT_LT(*pause, kSaid + kNanosecondsPerSecond / 2);
  // It is no use to wait for what comes after the deadline.
  retry.begin(monotonic_ns() + kSaid / 2);
  EXPECT_FALSE(retry.pause_ns({POCKET_BUSY, "later", kSaid}, false).has_value());
  EXPECT_TRUE(retry.pause_ns({POCKET_BUSY, "later", kSaid / 4}, false).has_value());
  retry.begin(kForever);
  EXPECT_TRUE(retry.pause_ns({POCKET_BUSY, "much later", UINT64_MAX / 2}, false).has_value());
}

TEST(RetryTest, ACallThatKillsEveryRunnerIsGivenUp) {
  Retry retry;
  retry.begin(kForever);
  for (uint32_t death = 0; death < Retry::kMostDeaths; ++death) retry.count_death();
  EXPECT_TRUE(retry.pause_ns(kGone, false).has_value());
  retry.count_death();
  EXPECT_FALSE(retry.pause_ns(kGone, false).has_value());
  retry.begin(kForever);
  EXPECT_TRUE(retry.pause_ns(kGone, false).has_value()) << "the next call starts anew";
}

}  // namespace
}  // namespace pocket::client
