// When a process that died is started again. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace pocket::supervisor {

/// Deaths that follow each other within a minute of life are answered more and more slowly, so that
/// a service that cannot live costs nothing. One thread.
class Restarts {
 public:
  static constexpr uint64_t kFirstDelayNs = kNanosecondsPerSecond / 10;
  static constexpr uint64_t kLongestDelayNs = 5 * kNanosecondsPerSecond;
  static constexpr uint64_t kGoodLifeNs = 60 * kNanosecondsPerSecond;
  static constexpr int kMostUnready = 5;

  /// A process has died abnormally after `life_ns`; `ready`: it had become ready. How long to wait
  /// before the next start: 0, 0.1 s, 0.2 s, 0.4 s ... 5 s, from 0 again after a minute of life.
  /// nullopt: kMostUnready in a row never became ready, give up.
  std::optional<uint64_t> delay_ns(bool ready, uint64_t life_ns);

 private:
  uint64_t next_ns_ = 0;
  int unready_ = 0;
};

}  // namespace pocket::supervisor
