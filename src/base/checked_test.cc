#include "base/checked.h"

#include <gtest/gtest.h>

#include <array>

namespace pocket {
namespace {

TEST(Checked, OverflowIsSeen) {
  EXPECT_EQ(checked_add(1, 2), 3U);
  EXPECT_EQ(checked_add(UINT64_MAX, 0), UINT64_MAX);
  EXPECT_EQ(checked_add(UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checked_multiply(1U << 31, 1U << 31), uint64_t{1} << 62);
  EXPECT_EQ(checked_multiply(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
}

TEST(Checked, RangeInside) {
  EXPECT_TRUE(range_inside(0, 10, 10));
  EXPECT_TRUE(range_inside(10, 0, 10));
  EXPECT_FALSE(range_inside(11, 0, 10));
  EXPECT_FALSE(range_inside(5, 6, 10));
  EXPECT_FALSE(range_inside(UINT64_MAX, 2, 10));
  EXPECT_FALSE(range_inside(2, UINT64_MAX, 10));
}

TEST(Checked, AlignUp) {
  EXPECT_EQ(checked_align_up(0, 64), 0U);
  EXPECT_EQ(checked_align_up(1, 64), 64U);
  EXPECT_EQ(checked_align_up(64, 64), 64U);
  EXPECT_EQ(checked_align_up(UINT64_MAX, 64), std::nullopt);
}

TEST(Checked, ElementCountAndBytes) {
  EXPECT_EQ(element_count({}), 1U);
  const std::array<int64_t, 3> shape = {2, 3, 4};
  EXPECT_EQ(element_count(shape), 24U);
  EXPECT_EQ(tensor_bytes(POCKET_FLOAT64, shape), 192U);
  EXPECT_EQ(tensor_bytes(POCKET_STRING, shape), std::nullopt);
  EXPECT_EQ(tensor_bytes(99, shape), std::nullopt);
  const std::array<int64_t, 2> negative = {2, -1};
  EXPECT_EQ(element_count(negative), std::nullopt);
  const std::array<int64_t, 2> huge = {int64_t{1} << 32, int64_t{1} << 31};
  EXPECT_EQ(element_count(huge), std::nullopt);
  const std::array<int64_t, 1> most = {INT64_MAX};
  EXPECT_EQ(element_count(most), static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(tensor_bytes(POCKET_FLOAT32, most), std::nullopt);
  const std::array<int64_t, 3> zero = {0, INT64_MAX, 1};
  EXPECT_EQ(element_count(zero), 0U);
}

}  // namespace
}  // namespace pocket
