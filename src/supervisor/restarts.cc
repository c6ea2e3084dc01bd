#include "supervisor/restarts.h"

#include <algorithm>

namespace pocket::supervisor {

std::optional<uint64_t> Restarts::delay_ns(bool ready, uint64_t life_ns) {
  unready_ = ready ? 0 : unready_ + 1;
  if (unready_ >= kMostUnready) return std::nullopt;
  // A start that hangs for long and never becomes ready is no good life.
  if (ready && life_ns >= kGoodLifeNs) next_ns_ = 0;
  const uint64_t delay = next_ns_;
  next_ns_ = delay == 0 ? kFirstDelayNs : std::min(delay * 2, kLongestDelayNs);
  return delay;
}

}  // namespace pocket::supervisor
