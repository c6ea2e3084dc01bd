#include "runner/admission.h"

#include <fmt/format.h>

#include <algorithm>

namespace pocket::runner {
namespace {

constexpr uint64_t kLeastRetryNs = 1'000'000;
constexpr uint64_t kMostRetryNs = 1'000'000'000;
// How many seconds' worth of calls may come at once.
constexpr double kBurstSeconds = 0.1;

Refusal refusal(double after_ns, const std::string& why) {
  Refusal refused;
  refused.retry_after_ns = std::clamp(
      static_cast<uint64_t>(std::max(0.0, std::min(after_ns, 1e18))), kLeastRetryNs, kMostRetryNs);
  refused.message =
      fmt::format("{}: try again in {} ms", why, (refused.retry_after_ns + 999'999) / 1'000'000);
  return refused;
}

}  // namespace

std::optional<Refusal> Tenant::admit(uint64_t now_ns, size_t queued_in_all, const Flow& client,
                                     double call_ns) {
  const uint32_t in_flight = flow_->waiting_calls() + flow_->running_calls();
  if (limits_.max_in_flight > 0 && in_flight >= limits_.max_in_flight) {
    return refusal(call_ns, fmt::format("{} calls of tenant '{}' are in flight, its limit "
                                        "(max_in_flight)",
                                        in_flight, name_));
  }
  if (queued_in_all >= kMostQueued && client.waiting_calls() >= kAlwaysQueued) {
    return refusal(call_ns * client.waiting_calls(),
                   fmt::format("{} calls wait in this runner, {} of them this client's",
                               queued_in_all, client.waiting_calls()));
  }
  if (limits_.calls_per_second <= 0) return std::nullopt;
  const double most = std::max(1.0, limits_.calls_per_second * kBurstSeconds);
  const double passed_ns = static_cast<double>(now_ns - std::min(now_ns, tokens_ns_));
  tokens_ =
      tokens_ns_ == 0 ? most : std::min(most, tokens_ + passed_ns * limits_.calls_per_second / 1e9);
  tokens_ns_ = now_ns;
  if (tokens_ < 1) {
    return refusal((1 - tokens_) * 1e9 / limits_.calls_per_second,
                   fmt::format("tenant '{}' made its {:g} calls of a second (calls_per_second)",
                               name_, limits_.calls_per_second));
  }
  tokens_ -= 1;
  return std::nullopt;
}

}  // namespace pocket::runner
