// How long things took, in buckets whose width grows with the value.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace pocket::runner {

/// Four buckets for each doubling, so a quantile is right within a fifth; from nothing to 2^40 ns
/// (18 minutes), longer counts as that. Not thread-safe.
class Histogram {
 public:
  static constexpr uint32_t kBuckets = 160;

  void add(uint64_t ns) { counts_[bucket_of(ns)] += 1; }
  void add(const Histogram& other) {
    for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) counts_[bucket] += other.counts_[bucket];
  }
  const std::array<uint32_t, kBuckets>& counts() const { return counts_; }

  static uint32_t bucket_of(uint64_t ns) {
    if (ns < 4) return static_cast<uint32_t>(ns);
    const auto power = static_cast<uint32_t>(std::bit_width(ns)) - 1;  // 2 or more
    const auto quarter = static_cast<uint32_t>(ns >> (power - 2)) & 3;
    const uint32_t bucket = (power - 1) * 4 + quarter;
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }

 private:
  std::array<uint32_t, kBuckets> counts_{};
};

}  // namespace pocket::runner
