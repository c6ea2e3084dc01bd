// Layout of the board that pocketd and a runner share while budgets are lent. The contract is
// docs/format-board.md; change that page first.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pocket::wire {

constexpr uint32_t kBoardMagic = 0x44424b50;  // "PKBD", little-endian
constexpr uint32_t kBoardVersion = 2;
constexpr uint32_t kBoardSlots = 4096;  // client sessions of one runner that can lend
constexpr uint32_t kBoardWords = kBoardSlots / 64;
constexpr uint64_t kBoardSlotsOffset = 4096;
constexpr uint32_t kNoBoardSlot = UINT32_MAX;  // a session that lends nothing

enum BoardWants : uint32_t {
  kWantsBusy = 1,          // tell pocketd when a slot's in_flight leaves 0
  kWantsIdle = 2,          // ... and when it comes back to 0
  kWantsMemoryBefore = 4,  // ask for the lent memory, and wait, before the last answer
};

struct BoardHeader {
  uint32_t magic;
  uint32_t version;
  alignas(64) std::atomic<uint32_t> threads;        // futex; 0: no bound
  alignas(64) std::atomic<uint32_t> daemon_parked;  // 1: ring the bell
  alignas(64) std::array<std::atomic<uint64_t>, kBoardWords> dirty;
  alignas(64) std::atomic<uint64_t> dirty_words;   // bit i: something may be set in dirty[i]
  alignas(64) std::atomic<uint32_t> borrowed_cpu;  // pocketd: thousandths of a processor
};
static_assert(offsetof(BoardHeader, threads) == 64);
static_assert(offsetof(BoardHeader, daemon_parked) == 128);
static_assert(offsetof(BoardHeader, dirty) == 192);
static_assert(kBoardWords == 64, "a bit of dirty_words for each");
static_assert(offsetof(BoardHeader, dirty_words) == 704);
static_assert(offsetof(BoardHeader, borrowed_cpu) == 768);
static_assert(sizeof(BoardHeader) <= kBoardSlotsOffset, "the slots begin on the second page");

struct BoardSlot {
  std::atomic<uint32_t> in_flight;     // runner
  std::atomic<uint32_t> bursts;        // runner
  std::atomic<uint32_t> wants;         // pocketd: BoardWants
  std::atomic<uint32_t> memory_asked;  // runner
  std::atomic<uint32_t> memory_given;  // pocketd; futex
  std::atomic<uint32_t> answering;     // runner
  // What the client lends now, for its receipts; pocketd.
  std::atomic<uint32_t> lent_cpu;           // thousandths of a processor
  std::atomic<uint32_t> lent_memory_pages;  // of 4096 bytes
  uint32_t reserved[8];
};
static_assert(sizeof(BoardSlot) == 64, "one cache line: clients do not slow each other");
static_assert(offsetof(BoardSlot, wants) == 8);
static_assert(offsetof(BoardSlot, memory_given) == 16);
static_assert(offsetof(BoardSlot, answering) == 20);
static_assert(offsetof(BoardSlot, lent_cpu) == 24);
static_assert(offsetof(BoardSlot, lent_memory_pages) == 28);

constexpr uint64_t kBoardBytes = kBoardSlotsOffset + uint64_t{kBoardSlots} * sizeof(BoardSlot);

}  // namespace pocket::wire
