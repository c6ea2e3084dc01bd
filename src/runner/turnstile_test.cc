#include "runner/turnstile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace pocket::runner {
namespace {

constexpr uint64_t kLongNs = 60 * kNanosecondsPerSecond;

TEST(Turnstile, ManyOrOneAlone) {
  Turnstile turnstile;
  ASSERT_TRUE(turnstile.enter(false, 0));
  ASSERT_TRUE(turnstile.enter(false, 0));
  EXPECT_FALSE(turnstile.enter(true, 0));
  turnstile.leave(false);
  EXPECT_FALSE(turnstile.enter(true, 0));
  turnstile.leave(false);
  ASSERT_TRUE(turnstile.enter(true, 0));
  EXPECT_FALSE(turnstile.enter(false, 0));
  EXPECT_FALSE(turnstile.enter(true, 0));
  turnstile.leave(true);
  EXPECT_TRUE(turnstile.enter(false, 0));
}

TEST(Turnstile, WhoWaitsToBeAloneGetsThereBesideAFlood) {
  Turnstile turnstile;
  std::atomic<bool> stop = false;
  std::atomic<int> inside = 0;
  std::atomic<int> most_beside = 0;
  std::atomic<uint64_t> passed = 0;
  std::vector<std::jthread> flood;
  for (int thread = 0; thread < 4; ++thread) {
    flood.emplace_back([&] {
      while (!stop) {
        if (!turnstile.enter(false, monotonic_ns() + kLongNs)) continue;
        ++inside;
        ++passed;
        std::this_thread::yield();
        --inside;
        turnstile.leave(false);
      }
    });
  }
  while (passed == 0) std::this_thread::yield();
  for (int turn = 0; turn < 200; ++turn) {
    ASSERT_TRUE(turnstile.enter(true, monotonic_ns() + kLongNs));
    most_beside = std::max(most_beside.load(), inside.load());
    turnstile.leave(true);
  }
  stop = true;
  flood.clear();
  EXPECT_EQ(most_beside, 0);
}

TEST(Turnstile, WhoGivesUpWaitingHoldsNobodyUp) {
  Turnstile turnstile;
  ASSERT_TRUE(turnstile.enter(false, 0));
  EXPECT_FALSE(turnstile.enter(true, monotonic_ns() + 1'000'000));
  EXPECT_TRUE(turnstile.enter(false, 0));
}

}  // namespace
}  // namespace pocket::runner
