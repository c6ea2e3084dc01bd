#include "cli/bench/latency_options.h"

#include <fmt/format.h>

namespace pocket::cli {

void add_latency_setting(CLI::App& command, LatencySetting& setting) {
  command.add_option("--models", setting.models, "Folder of the models (default: as built)");
  command.add_option("--engine", setting.engine, "Engine of both sides")->capture_default_str();
  command.add_option("--seconds", setting.seconds, "Of each measurement")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command.add_option("--seed", setting.seed, "Of the random moments")->capture_default_str();
  command
      .add_option("--budget", setting.budget.kind,
                  "none: the whole machine; equal: clients and service have together what the "
                  "monolithic processes have; paper: the prototype's own")
      ->check(CLI::IsMember({"none", "equal", "paper"}))
      ->capture_default_str();
  command
      .add_option("--monolithic-cpus", setting.budget.monolithic_cpus,
                  "equal: processors of a monolithic process; a client has half of it")
      ->check(CLI::Range(0.02, 64.0))
      ->capture_default_str();
  command
      .add_option("--cpu-scale", setting.budget.scale,
                  "Multiplies the processors of every budget, to fit the machine")
      ->check(CLI::Range(0.001, 1000.0))
      ->capture_default_str();
}

void print_budget(const BudgetOptions& budget) {
  if (budget.kind == "none") return;
  fmt::print("budget {}, processors x {:g}", budget.kind, budget.scale);
  if (budget.kind == "equal") {
    fmt::print(": a monolithic process has {:g}, a client {:g}, the service {:g} for each client",
               budget.monolithic_cpus * budget.scale, budget.monolithic_cpus * budget.scale / 2,
               budget.monolithic_cpus * budget.scale / 2);
  }
  fmt::print("\n");
}

}  // namespace pocket::cli
