// The budgets both sides of a comparison get.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace pocket::cli {

/// Processors and bytes; 0: no limit.
struct Share {
  double cpus = 0;
  uint64_t memory_bytes = 0;
};

/// What each monolithic process, each client of Pocket and the service have.
struct Budget {
  Share monolithic;
  Share client;
  Share service;

  bool limited() const { return monolithic.cpus > 0; }
  double total_cpus(bool pocket, int clients) const {
    return pocket ? clients * client.cpus + service.cpus : clients * monolithic.cpus;
  }
};

struct BudgetOptions {
  std::string kind = "none";     // none, equal, paper
  double monolithic_cpus = 0.2;  // `equal`: of one monolithic process
  double scale = 1;              // processors of every budget times this, to fit the machine
};

/// none: no limits on either side.
/// equal: `clients` monolithic processes with monolithic_cpus each; as many clients of Pocket with
/// half of that, and the service with the other halves together. Memory likewise: the clients have
/// what the paper gave them, the service what is then left of the monolithic total.
/// paper: the prototype's own table, by app (its service had a whole processor whatever the number
/// of clients).
Result<Budget> make_budget(const BudgetOptions& options, const std::string& app, int clients);

nlohmann::json to_json(const BudgetOptions& options);

}  // namespace pocket::cli
