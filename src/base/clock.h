// Monotonic time in nanoseconds (CLOCK_MONOTONIC, the same clock in every process of one boot).
#pragma once

#include <cstdint>
#include <ctime>

namespace pocket {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kForever = UINT64_MAX;

inline uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanosecondsPerSecond +
         static_cast<uint64_t>(now.tv_nsec);
}

/// A signal ends it early.
inline void sleep_ns(uint64_t ns) {
  const timespec pause{static_cast<time_t>(ns / kNanosecondsPerSecond),
                       static_cast<long>(ns % kNanosecondsPerSecond)};
  ::nanosleep(&pause, nullptr);
}

/// The moment `timeout_ns` from now; kForever stays kForever.
inline uint64_t deadline_after(uint64_t timeout_ns) {
  if (timeout_ns == kForever) return kForever;
  const uint64_t now = monotonic_ns();
  return timeout_ns > kForever - 1 - now ? kForever : now + timeout_ns;
}

}  // namespace pocket
