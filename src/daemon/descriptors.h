// Descriptor numbers as a resource that runs out: clients are refused while some are still left, so
// that the service itself never lacks one.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace pocket::daemon {

/// Numbers kept free of clients: for channels that are being made, runners, files and logs.
constexpr uint64_t kReservedDescriptors = 64;

/// Raises the soft limit to the hard one; runners inherit it.
void raise_descriptor_limit();
/// The soft limit (RLIMIT_NOFILE).
uint64_t descriptor_limit();
/// RESOURCE_EXHAUSTED when fewer than `reserve` are left. `newest` is a descriptor that was just
/// made: the system gives out the lowest free number, so it tells how many are in use.
Result<void> check_descriptors_left(int newest, uint64_t reserve = kReservedDescriptors);

}  // namespace pocket::daemon
