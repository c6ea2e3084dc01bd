// The processor as a thread that spins sees it.
#pragma once

#include <sched.h>

namespace pocket::client {

/// Tells the processor that this is a loop that waits.
inline void pause_processor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// True where spinning would keep the other side from running.
inline bool single_processor() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return ::sched_getaffinity(0, sizeof(mask), &mask) == 0 && CPU_COUNT(&mask) == 1;
}

}  // namespace pocket::client
