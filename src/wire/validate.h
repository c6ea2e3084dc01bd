// Checks of what a client wrote into its request region. Pure functions over private copies: no
// system calls, no shared memory, no allocation unless something is refused. Every rule of
// docs/format-region.md that can be checked without knowing the model is here and nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "wire/layout.h"

namespace pocket::wire {

/// Bytes of each region of a channel; 0: there is no such region.
struct RegionSizes {
  std::array<uint64_t, kMaxRegions> request{};
  std::array<uint64_t, kMaxRegions> response{};
};

/// A place in the response region that the runner may write, already checked.
struct ResponseRoom {
  uint32_t region = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

/// A call whose places are all inside the regions; views into the private copy of its block.
struct CallView {
  std::span<const TensorRecord> inputs;
  std::span<const TensorRecord> outputs;
};

/// True when [offset, offset + bytes) lies in the arena of region `region` (in region 0 the
/// header page and the ring come first and are never tensor memory).
bool inside_arena(const std::array<uint64_t, kMaxRegions>& sizes, uint32_t region, uint64_t offset,
                  uint64_t bytes);

/// Where the result table or the error text of a submission goes. The room is all zero when the
/// place is not inside the response arena: then the runner can answer a status but no text.
ResponseRoom table_room(const Submission& submission, const RegionSizes& sizes);

/// Checks the opcode, flags, table and the place of the block of a kRun submission.
/// INVALID_ARGUMENT names the field.
Result<void> check_submission(const Submission& submission, const RegionSizes& sizes);

/// Checks a copied block (exactly `block_bytes` of a submission that check_submission accepted;
/// 8-byte aligned) and returns views into it.
Result<CallView> check_block(std::span<const std::byte> block, const Submission& submission,
                             const RegionSizes& sizes);

/// Checks the private copy of a string tensor: uint64 offsets[count + 1] that start at 0, never
/// fall and end inside the bytes that follow them.
Result<void> check_strings(std::span<const std::byte> tensor, uint64_t count);

/// What the two counters of a ring say about it.
enum class RingCheck { kFine, kImpossible };

/// The producer's counter as read from shared memory, against the consumer's own: between 0 and
/// kRingSlots entries are waiting, anything else is impossible.
RingCheck check_produced(uint64_t produced, uint64_t consumed);

/// The consumer's counter as read from shared memory, against what it said before and what was
/// produced: it never goes back and never passes the producer.
RingCheck check_consumed(uint64_t consumed, uint64_t consumed_before, uint64_t produced);

}  // namespace pocket::wire
