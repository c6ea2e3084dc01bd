#include "runner/bell.h"

#include <gtest/gtest.h>

namespace pocket::runner {
namespace {

TEST(Bell, WhoSubmitsIsHeardAtOnce) {
  Bell bell;
  for (uint64_t progress = 1; progress < 1000; ++progress) {
    EXPECT_EQ(bell.rang(progress), 0U);
    // Somebody else took the submission in before its bell was heard.
    for (uint32_t again = 0; again + 1 < Bell::kMostInVain; ++again) {
      EXPECT_EQ(bell.rang(progress), 0U);
    }
  }
}

TEST(Bell, WhoRingsInVainIsHeardLessAndLess) {
  Bell bell;
  for (uint32_t ring = 0; ring + 1 < Bell::kMostInVain; ++ring) EXPECT_EQ(bell.rang(0), 0U);
  uint64_t expected = Bell::kFirstPauseNs;
  for (int pause = 0; pause < 12; ++pause) {
    EXPECT_EQ(bell.rang(0), expected);
    bell.heard_again();
    EXPECT_EQ(bell.rang(0), 0U) << "its own ring";
    expected = std::min(2 * expected, Bell::kLongestPauseNs);
  }
  EXPECT_EQ(expected, Bell::kLongestPauseNs);
  // A submission makes it good, and less than before is none.
  EXPECT_EQ(bell.rang(5), 0U);
  for (uint32_t ring = 0; ring + 1 < Bell::kMostInVain; ++ring) EXPECT_EQ(bell.rang(ring % 5), 0U);
  EXPECT_EQ(bell.rang(4), Bell::kFirstPauseNs);
}

}  // namespace
}  // namespace pocket::runner
