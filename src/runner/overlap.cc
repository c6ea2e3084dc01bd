#include "runner/overlap.h"

#include <algorithm>

namespace pocket::runner {
namespace {

// Beside another call a call may take this many times what it takes alone before waiting for the
// other is better. With the other half done on average, waiting answers after 1.5 times, and the
// other 0.5 times after: sharing must do better than that for both together.
constexpr double kWorthSharing = 1.7;
// One choice in so many goes the other way, to learn.
constexpr uint64_t kTryEvery = 64;
constexpr uint64_t kLeastPatienceNs = 5'000'000;
// The weight of the newest call.
constexpr double kWeight = 1.0 / 8;

}  // namespace

void Overlap::Estimate::add(uint64_t ns) {
  const auto value = static_cast<double>(ns);
  mean_ns = samples == 0 ? value : mean_ns + (value - mean_ns) * kWeight;
  samples += 1;
}

bool Overlap::may_start(uint32_t running, uint32_t waiting, uint32_t threads,
                        uint64_t starts) const {
  if (running == 0) return true;
  if (running >= threads) return false;
  // Enough waits to keep every thread busy for long: the whole is done sooner at once.
  if (waiting >= std::max<uint32_t>(threads, 2)) return true;
  const bool sharing =
      !alone_.known() || !shared_.known() || shared_.mean_ns < kWorthSharing * alone_.mean_ns;
  return starts % kTryEvery == 0 ? !sharing : sharing;
}

uint64_t Overlap::patience_ns() const {
  return std::max<uint64_t>(kLeastPatienceNs, static_cast<uint64_t>(3 * alone_.mean_ns));
}

void Overlap::ended(uint64_t compute_ns, bool alone) { (alone ? alone_ : shared_).add(compute_ns); }

}  // namespace pocket::runner
