#include "runner/processor_time.h"

#include <pthread.h>

#include <algorithm>

#include "base/clock.h"

namespace pocket::runner {
namespace {

// The readings at both ends may take one part in so many of a call.
constexpr uint64_t kWorthTimes = 50;
constexpr uint64_t kLeastWorthNs = 50'000;
constexpr uint64_t kMostWorthNs = 5'000'000;

uint64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanosecondsPerSecond +
         static_cast<uint64_t>(now.tv_nsec);
}

/// What a reading costs on this machine: from 0.1 to more than 10 us, so it is measured.
uint64_t cost_of_reading() {
  uint64_t least = UINT64_MAX;
  for (int turn = 0; turn < 8; ++turn) {
    const uint64_t before = monotonic_ns();
    (void)read_clock(CLOCK_THREAD_CPUTIME_ID);
    least = std::min(least, monotonic_ns() - before);
  }
  return least;
}

}  // namespace

ProcessorTime::ProcessorTime() : reading_ns_(cost_of_reading()) {}

uint64_t ProcessorTime::worth_reading_ns(bool shares) const {
  const uint64_t clocks = shares ? worker_count_.load(std::memory_order_relaxed) + 2 : 1;
  return std::clamp(2 * clocks * reading_ns_ * kWorthTimes, kLeastWorthNs, kMostWorthNs);
}

void ProcessorTime::add_worker() {
  clockid_t clock = 0;
  if (::pthread_getcpuclockid(::pthread_self(), &clock) != 0) return;
  MutexLock lock(mutex_);
  workers_.push_back(clock);
  worker_count_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
}

void ProcessorTime::read_shares() {
  const uint64_t process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t workers = 0;
  for (const clockid_t clock : workers_) workers += read_clock(clock);
  // The clocks are read one after the other, so the difference may seem to fall a little.
  const uint64_t others = std::max(others_ns_, process - std::min(process, workers));
  if (running_ > 0) share_ns_ += static_cast<double>(others - others_ns_) / running_;
  others_ns_ = others;
}

ProcessorTime::Start ProcessorTime::start(bool shares) {
  Start start;
  start.shares = shares;
  if (shares) {
    MutexLock lock(mutex_);
    read_shares();
    running_ += 1;
    start.share_ns = share_ns_;
  }
  start.thread_ns = read_clock(CLOCK_THREAD_CPUTIME_ID);
  return start;
}

uint64_t ProcessorTime::end(const Start& start) {
  uint64_t used = read_clock(CLOCK_THREAD_CPUTIME_ID) - start.thread_ns;
  if (start.shares) {
    MutexLock lock(mutex_);
    read_shares();
    running_ -= 1;
    used += static_cast<uint64_t>(std::max(0.0, share_ns_ - start.share_ns));
  }
  return used;
}

}  // namespace pocket::runner
