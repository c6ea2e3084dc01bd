#include "runner/overlap.h"

#include <gtest/gtest.h>

namespace pocket::runner {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kNoTrial = 1;  // a number of starts at which nothing is tried out

void learn(Overlap& overlap, uint64_t alone_ms, uint64_t shared_ms) {
  for (int call = 0; call < 8; ++call) {
    overlap.ended(alone_ms * kMs, true);
    overlap.ended(shared_ms * kMs, false);
  }
}

TEST(Overlap, TheFirstCallAlwaysStarts) {
  Overlap overlap;
  learn(overlap, 10, 20);
  EXPECT_TRUE(overlap.may_start(0, 1, 1, kNoTrial));
}

TEST(Overlap, NeverMoreThanThreads) {
  const Overlap overlap;
  EXPECT_FALSE(overlap.may_start(2, 50, 2, kNoTrial));
  EXPECT_FALSE(overlap.may_start(1, 50, 1, kNoTrial));
}

TEST(Overlap, SharesUntilBothWaysAreKnown) {
  Overlap overlap;
  EXPECT_TRUE(overlap.may_start(1, 1, 2, kNoTrial));
  for (int call = 0; call < 8; ++call) overlap.ended(10 * kMs, true);
  EXPECT_TRUE(overlap.may_start(1, 1, 2, kNoTrial));
}

TEST(Overlap, WaitsWhereThreadsHelpAndSharesWhereTheyDoNot) {
  Overlap helped;
  learn(helped, 10, 20);
  EXPECT_FALSE(helped.may_start(1, 1, 2, kNoTrial));
  Overlap hardly;
  learn(hardly, 10, 12);
  EXPECT_TRUE(hardly.may_start(1, 1, 2, kNoTrial));
}

TEST(Overlap, ManyWaitingCallsShare) {
  Overlap overlap;
  learn(overlap, 10, 20);
  EXPECT_TRUE(overlap.may_start(1, 2, 2, kNoTrial));
  EXPECT_FALSE(overlap.may_start(1, 3, 4, kNoTrial));
  EXPECT_TRUE(overlap.may_start(1, 4, 4, kNoTrial));
}

TEST(Overlap, TriesTheOtherWayNowAndThenAndFollowsAChange) {
  Overlap overlap;
  learn(overlap, 10, 20);
  EXPECT_TRUE(overlap.may_start(1, 1, 2, 64));
  for (int call = 0; call < 40; ++call) overlap.ended(11 * kMs, false);
  EXPECT_TRUE(overlap.may_start(1, 1, 2, kNoTrial));
}

TEST(Overlap, PatienceEnds) {
  Overlap overlap;
  learn(overlap, 100, 200);
  EXPECT_GE(overlap.patience_ns(), 300 * kMs);
  EXPECT_LT(overlap.patience_ns(), 1000 * kMs);
}

}  // namespace
}  // namespace pocket::runner
