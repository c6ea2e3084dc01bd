// Layout of the shared regions of a channel. The contract is docs/format-region.md; change that
// page first. Everything here is plain bytes: offsets instead of pointers, no constructors needed,
// valid after kill -9 of either side.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pocket/dtype.h"

namespace pocket::wire {

constexpr uint32_t kRequestMagic = 0x51524b50;   // "PKRQ", little-endian
constexpr uint32_t kResponseMagic = 0x53524b50;  // "PKRS"
constexpr uint32_t kLayoutVersion = 1;
constexpr uint32_t kRingSlots = 256;       // submissions and completions; a power of two
constexpr uint32_t kMaxRegions = 16;       // pairs of regions in one channel
constexpr uint32_t kMaxTensors = 64;       // inputs, and outputs, of one call
constexpr uint64_t kTensorAlignment = 64;  // every tensor's offset is a multiple of it
constexpr uint64_t kHeaderBytes = 4096;    // region 0: header page, then ring, then arena
constexpr uint64_t kRingBytes = uint64_t{kRingSlots} * 64;
constexpr uint64_t kArenaOffset = kHeaderBytes + kRingBytes;  // in region 0; 0 in further regions

enum class Opcode : uint32_t {
  kRun = 1,            // run the model: a CallBlock in the request region
  kCancel = 2,         // `block_offset` holds the call_id to cancel; never completed itself
  kReleaseHandle = 3,  // `block_offset` holds the handle; completed with a status
};

/// One submission, written by the client; the runner copies it once and uses only the copy.
struct Submission {
  uint64_t call_id;  // chosen by the client, unique among its calls in flight
  Opcode opcode;
  uint32_t flags;         // 0
  uint64_t block_offset;  // of the CallBlock in request region `block_region`
  uint32_t block_region;
  uint32_t block_bytes;   // sizeof(CallBlock) + tensors * sizeof(TensorRecord)
  uint64_t deadline_ns;   // CLOCK_MONOTONIC; UINT64_MAX: none
  uint64_t table_offset;  // where in response region `table_region` the runner writes the result
  uint32_t table_region;  //   table (output TensorRecords) or the error text
  uint32_t table_bytes;
  uint64_t reserved;
};
static_assert(sizeof(Submission) == 64,
              "one cache line: a ring slot is written by one store burst");
static_assert(std::is_trivially_copyable_v<Submission>, "copied by bytes across processes");

/// One answer, written by the runner; the client copies it once.
struct Completion {
  uint64_t call_id;
  int32_t status;         // pocket_status
  uint32_t table_bytes;   // bytes written at the submission's table: records, or error text (UTF-8)
  uint64_t queue_ns;      // from seen by the runner to start of the engine
  uint64_t compute_ns;    // inside the engine
  uint64_t needed_bytes;  // OUTPUT_TOO_SMALL: bytes of response arena the outputs need in total
  uint64_t cpu_ns;        // processor time of the call, of all threads
  uint32_t lent_cpu;      // what its client lent, in thousandths of a processor
  uint32_t borrowed_cpu;  // what the runner had borrowed from all its clients
  uint32_t lent_memory_pages;  // what its client lent, in pages of 4096 bytes
  uint32_t retry_after_us;     // BUSY: when to try again; 0: unknown
};
static_assert(sizeof(Completion) == 64, "one cache line");
static_assert(offsetof(Completion, cpu_ns) == 40, "appended where zeros were");
static_assert(offsetof(Completion, retry_after_us) == 60, "the last word");
static_assert(std::is_trivially_copyable_v<Completion>, "copied by bytes across processes");

enum TensorFlags : uint32_t {
  kTensorByHandle = 1,  // input: `handle` names a kept tensor; output: keep it, answer its handle
};

/// One tensor of a call. In a CallBlock: an input, or the room for an output (`offset`,
/// `capacity`). In a result table: the output as written.
struct TensorRecord {
  uint32_t index;  // of the model's inputs or outputs
  int32_t dtype;   // pocket_dtype
  int32_t rank;    // 0 .. POCKET_MAX_RANK
  uint32_t flags;  // TensorFlags
  int64_t shape[POCKET_MAX_RANK];
  uint32_t region;  // input: request region; output: response region
  uint32_t reserved;
  uint64_t offset;  // multiple of kTensorAlignment
  uint64_t bytes;   // input: size; output room: capacity; result: size
  uint64_t handle;
  uint64_t reserved2[2];
};
static_assert(sizeof(TensorRecord) == 128, "two cache lines");
static_assert(std::is_trivially_copyable_v<TensorRecord>, "copied by bytes across processes");

/// What a kRun submission points to: this head, then inputs, then outputs as TensorRecords.
struct CallBlock {
  uint32_t input_count;
  uint32_t output_count;
  uint64_t reserved[7];
};
static_assert(sizeof(CallBlock) == 64, "keeps the records cache-line aligned");
constexpr uint64_t kMaxBlockBytes = sizeof(CallBlock) + sizeof(TensorRecord) * 2 * kMaxTensors;

/// First page of request region 0. Written by the client only; the runner maps it read-only.
/// Positions are free-running counters; slot = position % kRingSlots.
struct RequestHeader {
  uint32_t magic;
  uint32_t version;
  uint64_t reserved0[7];
  alignas(64) std::atomic<uint64_t> submitted;          // submissions published
  alignas(64) std::atomic<uint64_t> completions_taken;  // completions copied out
  alignas(
      64) std::atomic<uint32_t> client_parked;  // 1: futex-wake `completed_word` after publishing
  std::atomic<uint32_t> client_wants_fd;        // 1: also send a byte on the notify socket
};
static_assert(sizeof(RequestHeader) <= kHeaderBytes);

enum ChannelState : uint32_t {
  kChannelOpen = 0,
  kChannelBroken = 1,  // the runner died or unloaded the model: nothing in flight will be answered
};

/// First page of response region 0. Written by the runner (and by pocketd: `state` only, which
/// marks the channel broken when the runner is gone). The client maps it read-only.
struct ResponseHeader {
  uint32_t magic;
  uint32_t version;
  std::atomic<uint32_t> state;  // ChannelState
  uint32_t reserved0;
  uint64_t reserved1[6];
  alignas(64) std::atomic<uint64_t> completed;  // completions published
  std::atomic<uint32_t> completed_word;         // futex: changes with every wake-worthy event
  alignas(64) std::atomic<uint64_t> submissions_taken;  // submissions copied out
  alignas(
      64) std::atomic<uint32_t> runner_parked;  // 1: write the doorbell eventfd after publishing
};
static_assert(sizeof(ResponseHeader) <= kHeaderBytes);
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared between processes");
static_assert(std::atomic<uint32_t>::is_always_lock_free, "a futex word is 32 bits");

}  // namespace pocket::wire
