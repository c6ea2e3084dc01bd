// Locks of which clang proves (preset `clang`, -Wthread-safety) that what they guard is touched by
// their holder only. For other compilers they are the standard library's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define POCKET_THREAD_ATTRIBUTE(attribute) __attribute__((attribute))
#else
#define POCKET_THREAD_ATTRIBUTE(attribute)
#endif

/// A member: only for whoever holds `mutex`.
#define POCKET_GUARDED_BY(mutex) POCKET_THREAD_ATTRIBUTE(guarded_by(mutex))
/// A function: its callers hold the mutexes.
#define POCKET_REQUIRES(...) POCKET_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
/// A function that clang cannot follow; the reason stands beside it.
#define POCKET_NOT_ANALYZED POCKET_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace pocket {

/// A std::mutex. Lock it with MutexLock.
class POCKET_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() POCKET_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() POCKET_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

/// Holds a Mutex from here to the end of the block.
class POCKET_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) POCKET_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() POCKET_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  Mutex& mutex_;
};

/// Gives a held Mutex back from here to the end of the block, which may also be left by a throw.
class POCKET_THREAD_ATTRIBUTE(scoped_lockable) MutexUnlock {
 public:
  explicit MutexUnlock(Mutex& mutex) POCKET_THREAD_ATTRIBUTE(release_capability(mutex))
      : mutex_(mutex) {
    mutex_.unlock();
  }
  MutexUnlock(const MutexUnlock&) = delete;
  MutexUnlock& operator=(const MutexUnlock&) = delete;
  ~MutexUnlock() POCKET_THREAD_ATTRIBUTE(release_capability()) { mutex_.lock(); }

 private:
  Mutex& mutex_;
};

/// A std::shared_mutex: one that writes, or many that read.
class POCKET_THREAD_ATTRIBUTE(capability("mutex")) SharedMutex {
 public:
  void lock() POCKET_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() POCKET_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  void lock_shared() POCKET_THREAD_ATTRIBUTE(acquire_shared_capability()) { mutex_.lock_shared(); }
  void unlock_shared() POCKET_THREAD_ATTRIBUTE(release_shared_capability()) {
    mutex_.unlock_shared();
  }

 private:
  std::shared_mutex mutex_;
};

/// Holds a SharedMutex for writing, to the end of the block.
class POCKET_THREAD_ATTRIBUTE(scoped_lockable) WriteLock {
 public:
  explicit WriteLock(SharedMutex& mutex) POCKET_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;
  ~WriteLock() POCKET_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  SharedMutex& mutex_;
};

/// Holds a SharedMutex for reading, to the end of the block.
class POCKET_THREAD_ATTRIBUTE(scoped_lockable) ReadLock {
 public:
  explicit ReadLock(SharedMutex& mutex) POCKET_THREAD_ATTRIBUTE(acquire_shared_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;
  ~ReadLock() POCKET_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock_shared(); }

 private:
  SharedMutex& mutex_;
};

/// A std::condition_variable for a Mutex.
class Condition {
 public:
  /// Gives the mutex back while it sleeps. May return for no reason: wait in a loop.
  void wait(Mutex& mutex) POCKET_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// As wait(), but no longer than to `deadline_ns` (CLOCK_MONOTONIC).
  void wait_until(Mutex& mutex, uint64_t deadline_ns) POCKET_REQUIRES(mutex) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point until{std::chrono::nanoseconds(deadline_ns)};
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait_until(lock, until);
    lock.release();
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace pocket
