#include "client/retry.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/clock.h"

namespace pocket::client {
namespace {

constexpr uint64_t kFirstPauseNs = 1'000'000;
constexpr uint64_t kLongestPauseNs = 200'000'000;

}  // namespace

void Retry::begin(uint64_t deadline_ns) {
  *this = Retry();
  deadline_ns_ = deadline_ns;
  next_pause_ns_ = kFirstPauseNs;
}

std::optional<uint64_t> Retry::pause_ns(const Error& why, bool nobody) {
  if (pocket_status_is_retryable(why.code) == 0 || deaths_ > kMostDeaths) return std::nullopt;
  const uint64_t now = monotonic_ns();
  if (first_failure_ns_ == 0) first_failure_ns_ = now;
  const uint64_t patience = nobody ? kNobodyNs : kPatienceNs;
  if (now >= deadline_ns_) return std::nullopt;
  if (deadline_ns_ == kForever && now - first_failure_ns_ >= patience) return std::nullopt;
  const uint64_t pause = next_pause_ns_;
  next_pause_ns_ = std::min(pause * 2, kLongestPauseNs);
  // Many clients that failed together must not come back together: up to half of it at random.
  const uint64_t apart = now % (pause / 2);
  if (why.retry_after_ns > 0) {
    // Asked before that, the answer would be the same.
    if (why.retry_after_ns >= deadline_ns_ - now) return std::nullopt;
    return std::min(why.retry_after_ns + apart, deadline_ns_ - now);
  }
  return std::min(pause / 2 + apart, deadline_ns_ - now);
}

bool retries_by_default() {
  const char* value = std::getenv("POCKET_RETRY");
  return value == nullptr || std::string_view(value) != "0";
}

}  // namespace pocket::client
