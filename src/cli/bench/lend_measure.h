// What `pocket bench lend` measures: calls of a client in a group of its own, and what pocketd
// spends on its loans.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cgroup/host.h"
#include "cli/local_service.h"

namespace pocket::cli {

/// How calls follow each other.
enum class LendLoad {
  kAsleep,      // a pause before each: client, runner and pocketd sleep when it comes
  kBackToBack,  // none
};

struct LendRound {
  double p50_us = 0;
  double p99_us = 0;
};

/// Processor time, in microseconds for each loan with its return.
struct LendCost {
  double loans = 0;
  double pocketd_us = 0;  // the lender's thread, everything it does
  // The same four limit writes alone: two after the pause and two after the length of a call, as
  // pocketd makes them; all four after the pause; without any pause.
  double raw_us = 0;
  double raw_together_us = 0;
  double raw_warm_us = 0;
  double wakeups = 0;  // of the lender's thread
};

/// A service that lends, one that does not, and a group for the client. One thread.
class LendBench {
 public:
  static Result<std::unique_ptr<LendBench>> create(int pause_us);

  /// `policy` "off": the service without budgets. CPU only.
  Result<LendRound> latency(const std::string& policy, LendLoad load, int calls);
  /// Policy func, calls that are long enough to be lent to.
  Result<LendCost> cost(int calls);

 private:
  explicit LendBench(int pause_us) : pause_us_(pause_us), host_(cgroup::Host::detect()) {}
  Result<void> start();

  const int pause_us_;
  const cgroup::Host host_;
  std::unique_ptr<LocalService> lending_;
  std::unique_ptr<LocalService> off_;
  std::unique_ptr<cgroup::OwnedGroup> group_;
};

}  // namespace pocket::cli
