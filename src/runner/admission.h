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

/// What a tenant may do in this runner. 0: no limit.
struct TenantLimits {
  uint32_t max_in_flight = 0;  // calls that wait or run, of all its clients
  double calls_per_second =
      0;  // over time; a burst of a tenth of a second's calls may come at once
};

/// A tenant: its flow and its limits. Guarded by the scheduler's lock.
class Tenant {
 public:
  Tenant(std::string name, std::shared_ptr<Flow> flow)
      : name_(std::move(name)), flow_(std::move(flow)) {}

  const std::shared_ptr<Flow>& flow() const { return flow_; }
  const std::string& name() const { return name_; }
  void set_limits(const TenantLimits& limits) { limits_ = limits; }

  /// Counts a call that comes at `now_ns`, or says when it may come again. `queued_in_all`: calls
  /// that wait in the runner; `client`: the flow of who makes it; `call_ns`: what a call takes.
  std::optional<Refusal> admit(uint64_t now_ns, size_t queued_in_all, const Flow& client,
                               double call_ns);

 private:
  const std::string name_;
  const std::shared_ptr<Flow> flow_;
  TenantLimits limits_;
  double tokens_ = 0;
  uint64_t tokens_ns_ = 0;  // when they were counted; 0: never
};

/// More than this waits nowhere, except that each client may always have kAlwaysQueued waiting: a
/// flood fills the queue for those who make it, and for nobody else.
constexpr size_t kMostQueued = 4096;
constexpr uint32_t kAlwaysQueued = 16;

}  // namespace pocket::runner
