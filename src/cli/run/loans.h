// What a run lends to its service, and borrows, at this moment.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "cgroup/host.h"
#include "cli/run/runs.h"
#include "wire/control.h"

namespace pocket::cli {

struct Loans {
  double lent_cpu = 0;  // processors
  double borrowed_cpu = 0;
  int64_t lent_memory_bytes = 0;
  int64_t borrowed_memory_bytes = 0;
};

struct SeenLoans {
  std::optional<Loans> loans;
  std::string note;  // why they are not known; empty: they are, or there is nothing to know
};

/// Asks each service once, however many runs it serves. One thread.
class LoanView {
 public:
  LoanView() : host_(cgroup::Host::detect()) {}
  /// Of a run that runs in a group of its own; only root and the service's own user get an answer.
  SeenLoans of(const SeenRun& run);

 private:
  const Result<wire::control::LeasesT>& leases_of(const std::string& socket);

  cgroup::Host host_;
  std::map<std::string, Result<wire::control::LeasesT>> asked_;
};

/// Adds `lent_cpu` and so on, or `lending_note`, to an object.
void add_to(nlohmann::json& object, const SeenLoans& seen);
/// "0.250 cpu, 12.0 MiB"; "-" where nothing is known or lent.
std::string lent_text(const SeenLoans& seen);
/// Lines of "name  value" for a reader; ends in a line break unless it is empty.
std::string loans_text(const SeenLoans& seen);

}  // namespace pocket::cli
