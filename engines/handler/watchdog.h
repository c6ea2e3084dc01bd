// Ends a runner whose handler does not: after its deadline, after a cancel, or with too much
// memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace pocket::handler_engine {

/// One for each process; any thread. Its own thread sleeps while no handler runs.
class Watchdog {
 public:
  /// The process's; never destroyed, because nothing ends before the process does.
  static Watchdog& instance();

  /// A handler's work, from construction to destruction.
  class Watch {
   public:
    /// The process is ended when the work goes on for `grace_ns` after `deadline_ns`, or after
    /// `cancelled(host)` said 1. `what` is for the log; it outlives the watch.
    Watch(const char* what, uint64_t deadline_ns, uint64_t grace_ns,
          int32_t (*cancelled)(const void* host), const void* host);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// The deadline is not the caller's but the model's own limit.
    void set_limit() { is_limit_.store(true); }
    /// While a model runs that the handler called, which nobody can hurry, time does not count.
    void set_waiting(bool waiting) { waiting_.store(waiting); }

   private:
    friend class Watchdog;
    const char* what_;
    const uint64_t deadline_ns_;
    const uint64_t grace_ns_;
    int32_t (*cancelled_)(const void* host);
    const void* host_;
    std::atomic<bool> waiting_{false};
    std::atomic<bool> is_limit_{false};
    uint64_t overdue_ns_ = 0;  // seen so far by the watchdog, guarded by its lock
  };

  /// The runner is to end once no handler runs, and a second later whatever runs.
  void end_soon(const std::string& why);

 private:
  Watchdog() = default;
  void add(Watch* watch);
  void remove(Watch* watch);
  void work();
  void look(uint64_t now, uint64_t passed_ns) POCKET_REQUIRES(mutex_);

  Mutex mutex_;
  Condition changed_;
  std::vector<Watch*> watches_ POCKET_GUARDED_BY(mutex_);
  bool asleep_ POCKET_GUARDED_BY(mutex_) = false;
  bool started_ POCKET_GUARDED_BY(mutex_) = false;
  uint64_t end_ns_ POCKET_GUARDED_BY(mutex_) = 0;
};

}  // namespace pocket::handler_engine
