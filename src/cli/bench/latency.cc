// pocket bench latency: app processes calling through Pocket and monolithically: closed loop, at
// random moments, and cold; with the whole machine or with equal budgets; nothing pinned.
#include <fmt/format.h>

#include <algorithm>

#include "cli/bench/command.h"
#include "cli/bench/latency_cells.h"
#include "cli/bench/latency_options.h"
#include "cli/bench/latency_report.h"
#include "cli/bench/report.h"

namespace pocket::cli {
namespace {

struct Options {
  LatencySetting setting;
  std::string json;
  std::vector<std::string> apps = {"mobilenetv2", "resnet50"};
  std::vector<std::string> loads = {"closed", "cold"};
  std::vector<std::string> policies = {"none"};
  std::vector<int> clients = {1, 2, 3, 5, 10};
  std::vector<int> cold_clients = {1, 5};
  std::vector<double> utilisations = {0.1, 0.3, 0.5};
  int rounds = 3;
  int cold_starts = 10;
};

bool wants(const Options& options, const char* load) {
  return std::find(options.loads.begin(), options.loads.end(), load) != options.loads.end();
}

/// Both sides of one kind of load; interleaved in each round, so that noise hits them alike.
std::vector<Cell> both_sides(const Options& options, const Cell& base) {
  std::vector<Cell> cells;
  Cell cell = base;
  cell.mode = "monolithic";
  cells.push_back(cell);
  cell.mode = "pocket";
  for (const auto& policy : options.policies) {
    cell.cpu_policy = cell.mem_policy = policy;
    cells.push_back(cell);
  }
  return cells;
}

std::vector<Cell> cells_of(const Options& options, const std::string& app) {
  std::vector<Cell> cells;
  const auto add = [&](const Cell& base) {
    const auto sides = both_sides(options, base);
    cells.insert(cells.end(), sides.begin(), sides.end());
  };
  for (const int clients : options.clients) {
    if (wants(options, "closed")) add({.app = app, .load = "closed", .clients = clients});
    if (!wants(options, "burst")) continue;
    for (const double utilisation : options.utilisations) {
      add({.app = app, .load = "burst", .clients = clients, .utilisation = utilisation});
    }
  }
  // The most the engine does in one process: as many calls at once as processors.
  if (wants(options, "closed") && options.setting.budget.kind == "none") {
    cells.push_back({.app = app, .mode = "engine", .load = "closed"});
  }
  return cells;
}

Result<void> run_app(const Options& options, LatencyBench& bench, const std::string& app,
                     Results& results) {
  for (int round = 0; round < options.rounds; ++round) {
    for (const Cell& cell : cells_of(options, app)) {
      show_progress(fmt::format("{}, {} clients, {}, {} {}, round {} of {}", app, cell.clients,
                                cell.load, cell.mode, cell.cpu_policy, round + 1, options.rounds));
      POCKET_RETURN_IF_ERROR(bench.run(cell, round, results));
    }
  }
  if (!wants(options, "cold")) return ok_result();
  for (int start = 0; start < options.cold_starts; ++start) {
    show_progress(fmt::format("{}, cold start {} of {}", app, start + 1, options.cold_starts));
    for (const int clients : options.cold_clients) {
      for (const Cell& cell :
           both_sides(options, {.app = app, .load = "cold", .clients = clients})) {
        POCKET_RETURN_IF_ERROR(bench.run(cell, start, results));
      }
    }
  }
  return ok_result();
}

Result<int> run(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto bench, LatencyBench::create(options.setting));
  Results results;
  for (const auto& app : options.apps) {
    POCKET_RETURN_IF_ERROR(run_app(options, *bench, app, results));
  }
  end_progress();
  nlohmann::json report = make_report("latency", {{"seconds", options.setting.seconds},
                                                  {"rounds", options.rounds},
                                                  {"cold_starts", options.cold_starts},
                                                  {"seed", options.setting.seed},
                                                  {"budget", to_json(options.setting.budget)},
                                                  {"pinned", false}});
  for (const auto& [cell, gathered] : results) {
    POCKET_ASSIGN_OR_RETURN(const Budget budget, bench->budget(cell.app, cell.clients));
    report["rows"].push_back(make_row(options.setting.engine, budget, cell, gathered));
  }
  if (options.json != "-") {
    print_budget(options.setting.budget);
    print_rows(report["rows"]);
    print_ratios(results);
  }
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, report));
  return 0;
}

}  // namespace

void add_bench_latency(CLI::App& bench, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = bench.add_subcommand(
      "latency", "Clients of a model through Pocket and monolithically, warm and cold");
  add_json_option(*command, options->json);
  add_latency_setting(*command, options->setting);
  command->add_option("--apps,--app", options->apps, "Apps to run")
      ->delimiter(',')
      ->check(CLI::IsMember(kBenchApps))
      ->capture_default_str();
  command
      ->add_option("--load", options->loads,
                   "closed: call after call; burst: at random moments, times from when a call was "
                   "due; cold: from exec to the first answer")
      ->delimiter(',')
      ->check(CLI::IsMember({"closed", "burst", "cold"}))
      ->capture_default_str();
  command
      ->add_option(
          "--policy", options->policies,
          "How the clients of Pocket lend CPU and memory (with --budget); several, each in "
          "an option of its own: func,ratio,0.5")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--clients", options->clients, "Numbers of clients, closed loop and burst")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--cold-clients", options->cold_clients, "Numbers of clients, cold")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--utilisation", options->utilisations,
                   "burst: how much of the monolithic side's processors the calls need")
      ->delimiter(',')
      ->check(CLI::Range(0.001, 10.0))
      ->capture_default_str();
  command->add_option("--rounds,--iteration", options->rounds, "Rounds")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--cold-starts", options->cold_starts, "Cold starts of each kind")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
