#include "runner/refusals.h"

#include <gtest/gtest.h>

namespace pocket::runner {
namespace {

TEST(Refusals, AreCountedTogetherAndToldOnceUntilNoneIsLeft) {
  Refusals refusals;
  int told = 0;
  refusals.on_first([&] { ++told; });
  for (int index = 0; index < 1000; ++index) {
    refusals.add(1, 7, RefusalKind::kLimit, POCKET_BUSY, std::to_string(index));
  }
  refusals.add(1, 7, RefusalKind::kHandle, POCKET_NOT_FOUND, "no such handle");
  EXPECT_EQ(told, 1);
  uint64_t left_out = 0;
  const auto taken = refusals.take(left_out);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].count, 1000U);
  EXPECT_EQ(taken[0].message, "999");
  EXPECT_EQ(taken[0].model, 7U);
  EXPECT_EQ(taken[1].kind, RefusalKind::kHandle);
  EXPECT_EQ(left_out, 0U);
  // Whoever takes is asked again only after it found none.
  refusals.add(1, 7, RefusalKind::kLimit, POCKET_BUSY, "again");
  EXPECT_EQ(told, 1);
  EXPECT_EQ(refusals.take(left_out).size(), 1U);
  EXPECT_TRUE(refusals.take(left_out).empty());
  refusals.add(2, 7, RefusalKind::kLimit, POCKET_BUSY, "later");
  EXPECT_EQ(told, 2);
}

TEST(Refusals, OfMoreSessionsThanHaveAPlaceAreCounted) {
  Refusals refusals;
  for (uint64_t session = 0; session < Refusals::kMostEntries + 5; ++session) {
    refusals.add(session, 1, RefusalKind::kMalformed, POCKET_INVALID_ARGUMENT, "x");
  }
  uint64_t left_out = 0;
  size_t taken = 0;
  uint64_t counted = 0;
  for (auto some = refusals.take(left_out); !some.empty(); some = refusals.take(left_out)) {
    EXPECT_LE(some.size(), Refusals::kMostTaken);
    taken += some.size();
    counted += left_out;
  }
  EXPECT_EQ(taken, Refusals::kMostEntries);
  EXPECT_EQ(counted, 5U);
}

}  // namespace
}  // namespace pocket::runner
