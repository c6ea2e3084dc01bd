// Whether calls of one model run at the same time or one after the other.
#pragma once

#include <cstdint>

#include "runner/flow.h"

namespace pocket::runner {

/// Two calls at once share the threads; one after the other each has all of them. With a model that
/// makes good use of several threads the second way answers sooner while few calls wait; at
/// saturation the first does more. This learns from the calls themselves which it is, and tries the
/// other way now and then, because machines change (docs/adr/0003-overlapping-calls.md). Not
/// thread-safe: guarded by the scheduler's lock.
class Overlap {
 public:
  /// May another call start while `running` of this model run and `waiting` wait, itself included?
  /// `threads`: how many the model may use now; `starts`: how many calls it has started.
  bool may_start(uint32_t running, uint32_t waiting, uint32_t threads, uint64_t starts) const;
  /// After this time a call that runs is no reason to wait any longer: it may never end.
  uint64_t patience_ns() const;
  /// A call has ended that took `compute_ns`; `alone`: no other ran meanwhile, and it had several
  /// threads.
  void ended(uint64_t compute_ns, bool alone);

  /// What a call takes alone and beside another, in nanoseconds; 0 while unknown.
  double alone_ns() const { return alone_.mean_ns; }
  double shared_ns() const { return shared_.mean_ns; }

 private:
  struct Estimate {
    double mean_ns = 0;
    uint32_t samples = 0;
    void add(uint64_t ns);
    bool known() const { return samples >= kEnough; }
    static constexpr uint32_t kEnough = 4;
  };
  Estimate alone_;
  Estimate shared_;
};

/// A running mean in which the newest values count most; the first value is the mean.
class Mean {
 public:
  void add(uint64_t value) {
    const auto latest = static_cast<double>(value);
    mean_ = known_ ? mean_ + (latest - mean_) / 8 : latest;
    known_ = true;
  }
  bool known() const { return known_; }
  double value() const { return mean_; }

 private:
  double mean_ = 0;
  bool known_ = false;
};

/// The calls of one model that wait and run. Guarded by the scheduler's lock.
struct ModelTurns {
  uint32_t waiting = 0;
  uint32_t running = 0;
  Mean cpu_ns;      // processor time of a call
  Mean compute_ns;  // what a call takes by the clock
  FlowStats stats;
  uint64_t starts = 0;      // calls started so far
  uint64_t started_ns = 0;  // when the last of them was taken in
  Overlap overlap;
};

}  // namespace pocket::runner
