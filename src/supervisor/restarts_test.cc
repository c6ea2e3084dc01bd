#include "supervisor/restarts.h"

#include <gtest/gtest.h>

#include <vector>

namespace pocket::supervisor {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

TEST(Restarts, TheFirstIsAtOnceAndLaterOnesSlower) {
  Restarts restarts;
  for (const uint64_t ms : {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}) {
    EXPECT_EQ(restarts.delay_ns(true, kNanosecondsPerSecond), ms * kMillisecond);
  }
}

TEST(Restarts, AMinuteOfLifeIsForgiven) {
  Restarts restarts;
  for (int i = 0; i < 4; ++i) (void)restarts.delay_ns(true, 0);
  EXPECT_EQ(restarts.delay_ns(true, Restarts::kGoodLifeNs - 1), 800 * kMillisecond);
  EXPECT_EQ(restarts.delay_ns(true, Restarts::kGoodLifeNs), 0u);
  EXPECT_EQ(restarts.delay_ns(true, 0), 100 * kMillisecond);
}

TEST(Restarts, AStartThatHangsIsNoGoodLife) {
  Restarts restarts;
  EXPECT_EQ(restarts.delay_ns(false, 0), 0u);
  EXPECT_EQ(restarts.delay_ns(false, 10 * Restarts::kGoodLifeNs), 100 * kMillisecond);
}

TEST(Restarts, GivesUpWhenFiveInARowNeverBecomeReady) {
  Restarts restarts;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(restarts.delay_ns(false, 0));
  EXPECT_TRUE(restarts.delay_ns(true, 0)) << "one that became ready begins the count anew";
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(restarts.delay_ns(false, 0));
  EXPECT_EQ(restarts.delay_ns(false, 0), std::nullopt);
}

}  // namespace
}  // namespace pocket::supervisor
