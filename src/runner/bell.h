// How long a doorbell that rings for nothing is not listened to.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pocket::runner {

/// A client can ring without end, and each ring wakes a worker: after some in vain its bell is left
/// alone for a while, longer each time, up to kLongestPauseNs. Only who rings in vain waits for
/// that; a client that submits rings once for each submission, and is heard at once. Not
/// thread-safe.
class Bell {
 public:
  static constexpr uint32_t kMostInVain = 16;
  static constexpr uint64_t kFirstPauseNs = 1'000'000;
  static constexpr uint64_t kLongestPauseNs = 100'000'000;

  /// It rang. `progress` counts what its client did and has not seen the runner do for nothing;
  /// less than before counts as none. For how long not to listen; 0: go on.
  uint64_t rang(uint64_t progress) {
    if (progress > progress_) {
      progress_ = progress;
      in_vain_ = 0;
      pause_ns_ = 0;
      expected_ = false;
      return 0;
    }
    if (expected_) {
      expected_ = false;
      return 0;
    }
    if (++in_vain_ < kMostInVain) return 0;
    in_vain_ = kMostInVain;  // from now on each one more
    pause_ns_ = std::clamp(2 * pause_ns_, kFirstPauseNs, kLongestPauseNs);
    return pause_ns_;
  }
  /// It is listened to again. Nobody reads a bell, so that it rings once by itself then.
  void heard_again() { expected_ = true; }

 private:
  uint64_t progress_ = 0;
  uint64_t pause_ns_ = 0;
  uint32_t in_vain_ = 0;
  bool expected_ = false;
};

}  // namespace pocket::runner
