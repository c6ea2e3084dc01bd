// The last thousand durations of something, for its median.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pocket::daemon {

/// One thread.
class RecentTimes {
 public:
  void add(uint64_t ns) { times_[count_++ % times_.size()] = ns; }
  /// Microseconds; 0 when there are none yet.
  double median_us() const {
    std::vector<uint64_t> sorted(
        times_.begin(),
        times_.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(count_, times_.size())));
    if (sorted.empty()) return 0;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return static_cast<double>(*middle) / 1e3;
  }

 private:
  std::array<uint64_t, 1000> times_{};
  size_t count_ = 0;
};

}  // namespace pocket::daemon
