// Which call runs next: channels take turns, and within one the order is kept.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "runner/channel.h"

namespace pocket::runner {

/// A queue of calls, bounded by what channels may have in flight (wire::kRingSlots each). Any
/// thread.
class Scheduler {
 public:
  /// Queues a call; gives it back when its channel is closed, because nobody would remove it then.
  std::unique_ptr<Call> push(std::unique_ptr<Call> call);
  /// The next call that may start now, or none. `threads`: how many may run; 0: whatever comes
  /// next starts (Overlap decides otherwise). Each popped call must be given to ended().
  std::unique_ptr<Call> pop(uint32_t threads = 0);
  /// Whether pop() would give one.
  bool ready(uint32_t threads) const;
  /// A popped call has ended after `compute_ns` in the engine. `threads` as for pop(), now.
  void ended(const Call& call, uint64_t compute_ns, uint32_t threads);
  /// How long a worker that got none may sleep before looking again; -1: until it is woken.
  int patience_ms() const;
  /// Takes a queued call out; none when it runs already or is not known.
  std::unique_ptr<Call> remove(uint32_t channel, uint64_t call_id);
  /// Takes every queued call of a channel out.
  std::vector<std::unique_ptr<Call>> remove_channel(uint32_t channel);
  size_t size() const;

  /// A used call object to fill again, or a new one.
  std::unique_ptr<Call> fresh_call();
  void recycle(std::unique_ptr<Call> call);

 private:
  ModelTurns& turns_of(const Call& call) const POCKET_REQUIRES(mutex_);
  bool may_start(const Call& call, uint32_t threads, uint64_t now_ns) const POCKET_REQUIRES(mutex_);
  std::deque<uint32_t>::const_iterator next(uint32_t threads) const POCKET_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::unordered_map<uint32_t, std::deque<std::unique_ptr<Call>>> queues_ POCKET_GUARDED_BY(mutex_);
  // Channels with queued calls, next one first.
  std::deque<uint32_t> turns_ POCKET_GUARDED_BY(mutex_);
  size_t size_ POCKET_GUARDED_BY(mutex_) = 0;
  mutable ModelTurns no_model_ POCKET_GUARDED_BY(mutex_);  // of calls without one, in tests
  std::vector<std::unique_ptr<Call>> spare_ POCKET_GUARDED_BY(mutex_);
};

}  // namespace pocket::runner
