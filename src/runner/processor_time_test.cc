#include "runner/processor_time.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"

namespace pocket::runner {
namespace {

uint64_t thread_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNanosecondsPerSecond +
         static_cast<uint64_t>(now.tv_nsec);
}

/// Uses this much of this thread's processor time, however long that takes.
void use(uint64_t ns) {
  const uint64_t until = thread_ns() + ns;
  while (thread_ns() < until) {
  }
}

constexpr uint64_t kMs = 1'000'000;

TEST(ProcessorTime, ASleepCostsNothingAndWorkCostsWhatItTakes) {
  ProcessorTime time;
  time.add_worker();
  const auto start = time.start(true);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  use(5 * kMs);
  const uint64_t used = time.end(start);
  EXPECT_GE(used, 5 * kMs);
  EXPECT_LT(used, 20 * kMs);
}

TEST(ProcessorTime, ThreadsOfTheEngineCountOnlyWhereTheyMayWork) {
  ProcessorTime time;
  time.add_worker();
  const auto alone = time.start(false);
  std::thread([] { use(20 * kMs); }).join();
  EXPECT_LT(time.end(alone), 10 * kMs);
  const auto shared = time.start(true);
  std::thread([] { use(20 * kMs); }).join();
  EXPECT_GE(time.end(shared), 19 * kMs);
}

TEST(ProcessorTime, WhatOtherThreadsUseIsDividedAndNothingIsLost) {
  ProcessorTime time;
  time.add_worker();
  const auto first = time.start(true);
  std::thread([] { use(20 * kMs); }).join();
  const auto second = time.start(true);
  std::thread([] { use(20 * kMs); }).join();
  const uint64_t first_used = time.end(first);
  const uint64_t second_used = time.end(second);
  // 20 alone and half of 20 against half of 20.
  EXPECT_GE(first_used + second_used, 39 * kMs);
  EXPECT_GT(first_used, 2 * second_used);
  EXPECT_GE(second_used, 9 * kMs);
}

TEST(ProcessorTime, ReadingMoreClocksIsWorthLongerCallsOnly) {
  ProcessorTime time;
  for (int worker = 0; worker < 8; ++worker) time.add_worker();
  EXPECT_GE(time.worth_reading_ns(true), time.worth_reading_ns(false));
  EXPECT_GT(time.worth_reading_ns(false), 0U);
}

}  // namespace
}  // namespace pocket::runner
