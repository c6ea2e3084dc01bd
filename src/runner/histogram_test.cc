#include "runner/histogram.h"

#include <gtest/gtest.h>

namespace pocket::runner {
namespace {

TEST(Histogram, BucketsFollowEachOtherWithoutGap) {
  uint32_t before = 0;
  for (uint64_t ns = 1; ns < 100'000; ++ns) {
    const uint32_t bucket = Histogram::bucket_of(ns);
    EXPECT_TRUE(bucket == before || bucket == before + 1) << ns;
    before = bucket;
  }
}

TEST(Histogram, EachDoublingHasFourBuckets) {
  for (uint32_t power = 2; power < 38; ++power) {
    const uint64_t ns = uint64_t{1} << power;
    EXPECT_EQ(Histogram::bucket_of(2 * ns), Histogram::bucket_of(ns) + 4) << power;
    EXPECT_EQ(Histogram::bucket_of(ns + ns / 4), Histogram::bucket_of(ns) + 1) << power;
  }
}

TEST(Histogram, WhatIsTooLongCountsAsTheLongest) {
  Histogram histogram;
  histogram.add(UINT64_MAX);
  histogram.add(0);
  EXPECT_EQ(histogram.counts().back(), 1U);
  EXPECT_EQ(histogram.counts().front(), 1U);
}

}  // namespace
}  // namespace pocket::runner
