// docs/format-board.md says where everything lies; another build must find it there.
#include "wire/board.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace pocket::wire {
namespace {

TEST(Board, OffsetsAreThoseOfThePage) {
  EXPECT_EQ(offsetof(BoardHeader, magic), 0u);
  EXPECT_EQ(offsetof(BoardHeader, version), 4u);
  EXPECT_EQ(offsetof(BoardHeader, threads), 64u);
  EXPECT_EQ(offsetof(BoardHeader, daemon_parked), 128u);
  EXPECT_EQ(offsetof(BoardHeader, dirty), 192u);
  EXPECT_EQ(offsetof(BoardSlot, in_flight), 0u);
  EXPECT_EQ(offsetof(BoardSlot, bursts), 4u);
  EXPECT_EQ(offsetof(BoardSlot, wants), 8u);
  EXPECT_EQ(offsetof(BoardSlot, memory_asked), 12u);
  EXPECT_EQ(offsetof(BoardSlot, memory_given), 16u);
  EXPECT_EQ(kBoardBytes, 4096u + 4096u * 64u);
}

TEST(Board, GoldenSlot) {
  BoardSlot slot{};
  slot.in_flight.store(2);
  slot.bursts.store(0x01020304);
  slot.wants.store(kWantsBusy | kWantsMemoryBefore);
  slot.memory_asked.store(7);
  slot.memory_given.store(6);
  const unsigned char expected[20] = {2, 0, 0, 0, 4, 3, 2, 1, 5, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0};
  EXPECT_EQ(std::memcmp(&slot, expected, sizeof(expected)), 0);
}

}  // namespace
}  // namespace pocket::wire
