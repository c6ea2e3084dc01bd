// One measurement of `pocket bench latency` and `eval-policy`: an app, a side, a load, a budget.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/bench/client_set.h"
#include "cli/local_service.h"

namespace pocket::cli {

/// What is measured; its rounds are gathered under it.
struct Cell {
  std::string app;
  std::string mode;  // "pocket", "monolithic", or "engine": the most one process can do
  std::string load;  // "closed", "burst", "cold"
  std::string cpu_policy = "none";
  std::string mem_policy = "none";
  int clients = 1;
  double utilisation = 0;  // burst: of the monolithic side's processors
  auto operator<=>(const Cell&) const = default;
};

struct Gathered {
  std::vector<double> times_ms;      // every call of every client of every round
  std::vector<double> round_p50_ms;  // for the spread
  std::vector<double> round_p95_ms;
  std::vector<double> round_per_second;
  GroupUse clients_use;  // where they are limited
  GroupUse service_use;
  double seconds = 0;
  double borrowed_cpu_seconds = 0;
  double borrowed_byte_seconds = 0;
  double lend_us_p50 = 0;
  double return_us_p50 = 0;
};

using Results = std::map<Cell, Gathered>;

/// What does not change from cell to cell.
struct LatencySetting {
  std::string models;
  std::string engine = "openvino";
  double seconds = 2;
  uint64_t seed = 1;
  BudgetOptions budget;
};

/// Runs cells. One thread. The service is started anew where its budget changes.
class LatencyBench {
 public:
  static Result<std::unique_ptr<LatencyBench>> create(LatencySetting setting);

  /// One round of a cell, added to what `results` has of it.
  Result<void> run(const Cell& cell, int round, Results& results);
  /// Processor time of one call of a monolithic process with one thread, measured once an app.
  Result<double> cpu_ms_per_call(const std::string& app);
  /// The budget of both sides for so many clients.
  Result<Budget> budget(const std::string& app, int clients) const {
    return make_budget(setting_.budget, app, clients);
  }

 private:
  explicit LatencyBench(LatencySetting setting)
      : setting_(std::move(setting)), host_(cgroup::Host::detect()) {}
  Result<void> ensure_service(const Cell& cell, const Budget& budget);
  Result<ClientSet::Client> client(const Cell& cell, const Budget& budget, int number, int round);
  Result<void> run_calls(const Cell& cell, const Budget& budget, int round, Gathered& gathered);
  Result<void> run_cold(const Cell& cell, const Budget& budget, Gathered& gathered);

  const LatencySetting setting_;
  const cgroup::Host host_;
  std::unique_ptr<LocalService> service_;
  std::string service_of_;  // app and budget it was started for
  std::map<std::string, double> cpu_ms_;
};

}  // namespace pocket::cli
