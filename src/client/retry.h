// How long and how often something that may succeed a moment later is tried again.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace pocket::client {

/// The attempts of one call or request after its first failure. One thread. Pure but for the clock.
class Retry {
 public:
  /// How long to go on where nobody said how long it may take.
  static constexpr uint64_t kPatienceNs = 10'000'000'000;
  /// The same where nobody listens on the socket at all: a supervised service keeps it open while
  /// it is started again.
  static constexpr uint64_t kNobodyNs = 2'000'000'000;
  /// After so many runners that died with the same call it is no accident. The service finds out
  /// which request ends its runner and refuses it; this is for what it cannot tell.
  static constexpr uint32_t kMostDeaths = 16;

  /// A first attempt is about to be made; `deadline_ns` (CLOCK_MONOTONIC): no attempt after it.
  void begin(uint64_t deadline_ns);
  /// An attempt failed for `why`: how long to wait before the next one, at least as long as `why`
  /// says. nullopt: it is no use, or the time is up before that. `nobody`: nobody listens on the
  /// service's socket.
  std::optional<uint64_t> pause_ns(const Error& why, bool nobody);
  /// A runner died while the call was with it.
  void count_death() { deaths_ += 1; }
  /// An attempt was made again.
  void count() { count_ += 1; }
  uint32_t made() const { return count_; }

 private:
  uint64_t deadline_ns_ = UINT64_MAX;
  uint64_t first_failure_ns_ = 0;  // 0: none yet
  uint64_t next_pause_ns_ = 0;
  uint32_t deaths_ = 0;
  uint32_t count_ = 0;
};

/// False where POCKET_RETRY=0 is in the environment.
bool retries_by_default();

}  // namespace pocket::client
