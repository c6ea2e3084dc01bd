// Models that nobody calls, on their way to giving back what only calls need.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "runner/model.h"

namespace pocket::runner {

/// How long a model rests before its memory for calls goes: longer than the pauses of a client that
/// calls steadily, who would pay for getting it again each time.
constexpr uint64_t kRestsNs = 1'000'000'000;

/// Any thread. Keeps no model alive.
class Resting {
 public:
  /// No call of `model` runs at this moment, `now_ns` of CLOCK_MONOTONIC.
  void add(RunnerModel& model, uint64_t now_ns);
  /// How long from `now_ns` on until one of them has rested long enough, in milliseconds, rounded
  /// up; -1: there is none.
  int due_ms(uint64_t now_ns) const;
  /// Those that have rested long enough, and were not called meanwhile, give back.
  void give_back(uint64_t now_ns);

 private:
  struct Entry {
    std::weak_ptr<RunnerModel> model;
    uint64_t due_ns;
  };
  mutable Mutex mutex_;
  std::vector<Entry> entries_ POCKET_GUARDED_BY(mutex_);  // by rising due_ns
  std::atomic<uint64_t> first_ns_{UINT64_MAX};            // of them
};

}  // namespace pocket::runner
