// Which calls are taken in at all: limits of tenants, and a bound on what waits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "runner/flow.h"

namespace pocket::runner {

/// "Not now": the call may be made again after this time.
struct Refusal {
  uint64_t retry_after_ns = 0;
  std::string message;
};

/// What a tenant may do in this runner, and its place beside others. 0: no limit.
struct TenantRules {
  std::string name;
  uint32_t weight = Flow::kUsualWeight;
  uint32_t priority = 0;
  uint32_t max_in_flight = 0;   // calls that wait or run, of all its clients
  double calls_per_second = 0;  // over time; a tenth of a second's may come at once
  double cpu_share = 0;         // processors' worth of processor time, over time; likewise
};

/// What flows in at a rate and may be saved for a tenth of a second. It may go below nothing.
class Allowance {
 public:
  /// At `rate` a second, at least `least` at once.
  void refill(uint64_t now_ns, double rate, double least);
  void take(double amount) { left_ -= amount; }
  double left() const { return left_; }

 private:
  double left_ = 0;
  uint64_t filled_ns_ = 0;  // 0: never
};

/// A tenant: its flow and its limits. Guarded by the scheduler's lock.
class Tenant {
 public:
  explicit Tenant(std::shared_ptr<Flow> flow) : flow_(std::move(flow)) {}

  const std::shared_ptr<Flow>& flow() const { return flow_; }
  const TenantRules& rules() const { return rules_; }
  void set_rules(TenantRules rules);
  /// Processor time that its calls used.
  void used(double cpu_ns) { cpu_.take(cpu_ns); }

  /// Counts a call that comes at `now_ns`, or says when it may come again. `queued_in_all`: calls
  /// that wait in the runner; `client`: the flow of who makes it; `call_ns`: what a call takes.
  std::optional<Refusal> admit(uint64_t now_ns, size_t queued_in_all, const Flow& client,
                               double call_ns);

 private:
  const std::shared_ptr<Flow> flow_;
  TenantRules rules_;
  Allowance calls_;
  Allowance cpu_;  // in nanoseconds
};

/// More than this waits nowhere, except that each client may always have kAlwaysQueued waiting: a
/// flood fills the queue for those who make it, and for nobody else.
constexpr size_t kMostQueued = 4096;
constexpr uint32_t kAlwaysQueued = 16;

}  // namespace pocket::runner
