// What of a list of usage fits a control message.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace pocket::wire {

/// Sorts RunnerUsageT or UsageEntryT by processor time, most first, keeps as many as have room in
/// one packet, and returns how many were left out. `fixed_bytes`: of an entry without its times.
template <typename Entry>
uint32_t keep_busiest(std::vector<std::unique_ptr<Entry>>& entries, size_t fixed_bytes) {
  constexpr size_t kMostBytes = size_t{128} * 1024;
  std::ranges::sort(entries, std::greater(), [](const auto& entry) { return entry->cpu_ns; });
  size_t bytes = 0;
  size_t kept = 0;
  for (; kept < entries.size() && bytes <= kMostBytes; ++kept) {
    bytes += fixed_bytes;
    for (const auto* times :
         {entries[kept]->queue_times.get(), entries[kept]->compute_times.get()}) {
      if (times != nullptr) bytes += 4 * times->counts.size();
    }
  }
  const auto left_out = static_cast<uint32_t>(entries.size() - kept);
  entries.resize(kept);
  return left_out;
}

}  // namespace pocket::wire
