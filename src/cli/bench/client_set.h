// Several clients of one app at once, each in a group of its own where budgets are limited, and
// what they and the service used meanwhile.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cgroup/host.h"
#include "cli/bench/budget.h"
#include "cli/bench/processes.h"

namespace pocket::cli {

/// What one group used between two moments.
struct GroupUse {
  double cpu_seconds = 0;
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;

  GroupUse& operator+=(const GroupUse& other);
};

/// Counts what a group uses from now on.
class GroupMeter {
 public:
  static Result<GroupMeter> start(cgroup::Group group);
  Result<GroupUse> read();

 private:
  explicit GroupMeter(cgroup::Group group) : group_(std::move(group)) {}
  cgroup::Group group_;
  cgroup::CpuUse before_;
};

/// Everything is ended and removed by the destructor.
class ClientSet {
 public:
  struct Client {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
  };

  /// Starts them, where `share` is limited each in a group of its own.
  static Result<std::unique_ptr<ClientSet>> start(const cgroup::Host& host, const Share& share,
                                                  const std::vector<Client>& clients);
  /// Waits until all are ready.
  Result<void> get_ready();
  void release();
  /// Their reports, in order.
  Result<std::vector<nlohmann::json>> finish();
  /// Together, from release() on.
  Result<GroupUse> use();

  const std::vector<AppProcess>& processes() const { return processes_; }

 private:
  ClientSet() = default;
  std::vector<std::unique_ptr<cgroup::OwnedGroup>> groups_;
  std::vector<GroupMeter> meters_;
  const cgroup::Host* host_ = nullptr;
  std::vector<AppProcess> processes_;  // last: ended before their groups are removed
};

}  // namespace pocket::cli
