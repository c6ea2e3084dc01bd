// Shared memory regions: memfds that are made, sealed and checked here, and the wake-ups beside
// them. docs/format-region.md says who may do what with which region.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::ipc {

/// Makes a memfd of `bytes` (rounded up to whole pages), sealed against growing and shrinking.
/// Further seals may still be added. `name` is only for /proc.
Result<UniqueFd> create_region(const char* name, uint64_t bytes);
/// Forbids every writable mapping and write() from now on; mappings that exist stay writable
/// (F_SEAL_FUTURE_WRITE), and forbids further seals.
Result<void> seal_against_new_writers(int region);
/// Checks what came over a socket before it is mapped: a memfd of exactly `bytes`, sealed against
/// growing and shrinking (so that no access can fault). DATA_LOSS otherwise.
Result<void> verify_region(int region, uint64_t bytes);
/// Doorbell: a non-blocking, close-on-exec eventfd.
Result<UniqueFd> create_doorbell();
/// Adds one to a doorbell; never blocks, errors are ignored (a full counter still wakes).
void ring_doorbell(int doorbell);

/// Waits until `*word != expected`, a wake, or the deadline (CLOCK_MONOTONIC, UINT64_MAX: none).
/// Returns false only when the deadline passed. Works on a read-only shared mapping.
bool futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t deadline_ns);
/// Wakes every waiter of the word, in any process.
void futex_wake_all(const std::atomic<uint32_t>* word);

}  // namespace pocket::ipc
