// The timed calls of an app: one after the other, several at once, or at random moments.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "common/inference.h"

namespace pocket::apps {

struct Load {
  int calls = 1;
  double seconds = 0;  // > 0: calls for this long instead
  double rate = 0;     // > 0: an open loop of so many calls a second, for `seconds`
  uint64_t seed = 1;
  int warm_up = 0;  // calls before, not timed
};

/// Milliseconds of each call.
struct CallTimes {
  std::vector<double> calls;
  std::vector<double> queue;    // empty when the engine runs in this process
  std::vector<double> compute;  // likewise
};

/// The times of all calls. With `parallel` > 1 as many threads call, each over the same loaded
/// model and with the same input. In an open loop calls are due at the moments of a Poisson process
/// and a time counts from the moment its call was due: a call that had to wait for an earlier one
/// has waited (no coordinated omission).
CallTimes timed_calls(Inference& inference, const Load& load, unsigned parallel);

inline double ms_since(uint64_t start_ns) {
  return static_cast<double>(monotonic_ns() - start_ns) / 1e6;
}

/// Processor time this process has used.
uint64_t processor_time_ns();

}  // namespace pocket::apps
