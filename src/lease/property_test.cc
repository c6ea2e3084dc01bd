// A million random lends, returns, failures, changes by others and kills: the sum is conserved at
// every step, and at the end every file holds its first value, or what somebody else has set.
// The seed is printed; POCKET_LEASE_SEED repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "lease/simulation.h"

namespace pocket::lease {
namespace {

// Sanitized programs are some twenty times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kOperations = 40'000;
#else
constexpr int kOperations = 500'000;
#endif

uint64_t seed() {
  const char* given = std::getenv("POCKET_LEASE_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "POCKET_LEASE_SEED=" << seed << std::endl;  // seen even if it hangs
  return seed;
}

void simulate(bool foreign, int operations) {
  Simulation simulation(seed(), foreign);
  simulation.run(operations);
  std::cout << operations << " operations, " << simulation.lent() << " loans, "
            << simulation.kills() << " kills, " << simulation.owed_seen()
            << " times something was owed\n";
  // The run must have been worth something.
  EXPECT_GT(simulation.lent(), operations / 20);
  EXPECT_GT(simulation.kills(), operations / 100);
  EXPECT_GT(simulation.owed_seen(), operations / 2000);
  EXPECT_EQ(simulation.foreign_seen() > 0, foreign);
}

TEST(LeaseProperty, SumIsConservedAtEveryWrite) { simulate(false, kOperations); }
TEST(LeaseProperty, ChangesByOthersAreKept) { simulate(true, kOperations); }

}  // namespace
}  // namespace pocket::lease
