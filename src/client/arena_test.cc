#include "client/arena.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace pocket::client {
namespace {

bool overlap(const Block& a, const Block& b) {
  return a.region == b.region && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

TEST(Arena, RefusesWhatDoesNotFit) {
  Arena arena;
  EXPECT_FALSE(arena.allocate(1));
  arena.add_region(128, 256);
  EXPECT_FALSE(arena.allocate(129));
  EXPECT_FALSE(arena.allocate(UINT64_MAX));
  const auto block = arena.allocate(128);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->offset, 128U);
  EXPECT_FALSE(arena.allocate(1));
  arena.add_region(0, 64);
  EXPECT_EQ(arena.allocate(1)->region, 1U);
}

// Ten thousand random allocations and releases: blocks stay apart, aligned and inside, and in the
// end everything is one free range again.
TEST(Arena, RandomUseLosesNothing) {
  std::mt19937 random(7);
  Arena arena;
  arena.add_region(4096, 4096 + 65536);
  arena.add_region(0, 8192);
  const uint64_t all = arena.free_bytes();
  std::vector<Block> used;
  for (int step = 0; step < 10000; ++step) {
    if (random() % 2 == 0 || used.empty()) {
      const auto block = arena.allocate(random() % 5000);
      if (!block) continue;
      EXPECT_EQ(block->offset % 64, 0U);
      EXPECT_LE(block->offset + block->bytes, block->region == 0 ? 4096U + 65536U : 8192U);
      for (const auto& other : used) ASSERT_FALSE(overlap(*block, other));
      used.push_back(*block);
    } else {
      const size_t index = random() % used.size();
      arena.free(used[index]);
      used.erase(used.begin() + static_cast<std::ptrdiff_t>(index));
    }
    uint64_t sum = arena.free_bytes();
    for (const auto& block : used) sum += block.bytes;
    ASSERT_EQ(sum, all);
  }
  for (const auto& block : used) arena.free(block);
  EXPECT_TRUE(arena.allocate(65536));
  EXPECT_TRUE(arena.allocate(8192));
}

}  // namespace
}  // namespace pocket::client
