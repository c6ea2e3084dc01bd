// Calls of a runner that crashed before: many at a time, or one that is suspected, alone.
#pragma once

#include <cstdint>

#include "base/mutex.h"

namespace pocket::runner {

/// Any thread. Who waits to be alone goes first, so that it gets there beside a flood of others.
class Turnstile {
 public:
  /// How a call may run. False: not until `deadline_ns` (CLOCK_MONOTONIC); nothing is to be left.
  bool enter(bool alone, uint64_t deadline_ns);
  void leave(bool alone);

 private:
  Mutex mutex_;
  Condition changed_;
  uint32_t inside_ POCKET_GUARDED_BY(mutex_) = 0;
  uint32_t waiting_alone_ POCKET_GUARDED_BY(mutex_) = 0;
  bool alone_ POCKET_GUARDED_BY(mutex_) = false;
};

}  // namespace pocket::runner
