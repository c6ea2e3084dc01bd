// How much processor time a call used, the engine's own threads included.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <vector>

#include "base/mutex.h"

namespace pocket::runner {

/// A call's own thread is measured exactly. What the other threads of this process that are no
/// workers (an engine's) use is shared equally by the calls that run meanwhile; the sum is right,
/// whoever overlaps. Any thread.
class ProcessorTime {
 public:
  /// A reading at the start of a call.
  struct Start {
    uint64_t thread_ns = 0;
    double share_ns = 0;
    bool shares = false;
  };

  ProcessorTime();

  /// This thread runs calls: what it uses is nobody's share. Once for each worker.
  void add_worker();
  /// Calls shorter than this are not worth a reading: their time on the clock is taken instead.
  uint64_t worth_reading_ns(bool shares) const;
  /// `shares`: threads of the engine may work for this call too.
  Start start(bool shares);
  /// What the call used since, in nanoseconds.
  uint64_t end(const Start& start);

 private:
  void read_shares() POCKET_REQUIRES(mutex_);

  const uint64_t reading_ns_;  // what one takes
  std::atomic<uint32_t> worker_count_{0};
  Mutex mutex_;
  std::vector<clockid_t> workers_ POCKET_GUARDED_BY(mutex_);
  uint64_t others_ns_ POCKET_GUARDED_BY(mutex_) = 0;  // used by threads that are no workers
  double share_ns_ POCKET_GUARDED_BY(mutex_) = 0;     // what each call that ran always had of it
  uint32_t running_ POCKET_GUARDED_BY(mutex_) = 0;
};

}  // namespace pocket::runner
