// The memory of a channel: made and sealed by pocketd, which itself sees only the response header.
#pragma once

#include <cstdint>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::daemon {

/// A pair of regions and the descriptors to hand over.
struct RegionPair {
  UniqueFd request;            // writable: for the client
  UniqueFd request_read_only;  // for the runner
  UniqueFd response;           // for the runner; for the client once sealed against writers
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
};

/// Sizes are rounded up to whole pages. RESOURCE_EXHAUSTED when there is no memory.
Result<RegionPair> create_regions(uint64_t request_bytes, uint64_t response_bytes);

/// Everything a new channel needs.
struct ChannelParts {
  RegionPair regions;
  UniqueFd doorbell;
  UniqueFd notify_client;
  UniqueFd notify_runner;
  Mapping response_header;
};

/// The first pair of regions with their header pages filled in, and the wake-ups.
Result<ChannelParts> create_channel(uint64_t request_bytes, uint64_t response_bytes);

/// Tells the client, through the response header, that nothing will be answered any more. Does
/// nothing where there is none: the runner tells the client of a channel that was adopted.
void mark_broken(const Mapping& response_header);

/// Another descriptor of the same open file.
Result<UniqueFd> duplicate(const UniqueFd& fd);

}  // namespace pocket::daemon
