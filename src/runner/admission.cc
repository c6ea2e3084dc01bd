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

void Allowance::refill(uint64_t now_ns, double rate, double least) {
  const double most = std::max(least, rate * kBurstSeconds);
  const auto passed_ns = static_cast<double>(now_ns - std::min(now_ns, filled_ns_));
  left_ = filled_ns_ == 0 ? most : std::min(most, left_ + passed_ns * rate / 1e9);
  filled_ns_ = now_ns;
}

void Tenant::set_rules(TenantRules rules) {
  rules_ = std::move(rules);
  flow_->set_place(rules_.weight, rules_.priority);
}

std::optional<Refusal> Tenant::admit(uint64_t now_ns, size_t queued_in_all, const Flow& client,
                                     double call_ns) {
  const uint32_t in_flight = flow_->waiting_calls() + flow_->running_calls();
  if (rules_.max_in_flight > 0 && in_flight >= rules_.max_in_flight) {
    return refusal(call_ns, fmt::format("{} calls of tenant '{}' are in flight, its limit "
                                        "(tenant.{}.in_flight)",
                                        in_flight, rules_.name, rules_.name));
  }
  if (queued_in_all >= kMostQueued && client.waiting_calls() >= kAlwaysQueued) {
    return refusal(call_ns * client.waiting_calls(),
                   fmt::format("{} calls wait in this runner, {} of them this client's",
                               queued_in_all, client.waiting_calls()));
  }
  if (rules_.cpu_share > 0) {
    cpu_.refill(now_ns, rules_.cpu_share * 1e9, 0);
    if (cpu_.left() < 0) {
      return refusal(-cpu_.left() / rules_.cpu_share,
                     fmt::format("tenant '{}' used its {:g} processors (tenant.{}.cpu_share)",
                                 rules_.name, rules_.cpu_share, rules_.name));
    }
  }
  if (rules_.calls_per_second > 0) {
    calls_.refill(now_ns, rules_.calls_per_second, 1);
    if (calls_.left() < 1) {
      return refusal(
          (1 - calls_.left()) * 1e9 / rules_.calls_per_second,
          fmt::format("tenant '{}' made its {:g} calls of a second (tenant.{}.calls_per_second)",
                      rules_.name, rules_.calls_per_second, rules_.name));
    }
    calls_.take(1);
  }
  return std::nullopt;
}

}  // namespace pocket::runner
