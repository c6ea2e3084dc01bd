// pocket bench eval-policy: how much is worth lending. The share goes from 0 to 0.9, of CPU and
// memory together and of each alone, with limited budgets.
#include <fmt/format.h>

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
  std::vector<std::string> apps = {"mobilenetv2"};
  std::vector<std::string> vary = {"both", "cpu", "memory"};
  std::string granularity = "func";
  std::string load = "closed";
  double utilisation = 0.3;
  double step = 0.1;
  int clients = 1;
  int rounds = 3;
};

/// "func,ratio,0.3"; nothing lent is "none", which costs nothing.
std::string policy(const Options& options, double share) {
  return share == 0 ? "none" : fmt::format("{},ratio,{:g}", options.granularity, share);
}

struct Point {
  double cpu_ratio;
  double mem_ratio;
};

std::vector<Point> points(const Options& options) {
  std::vector<Point> all = {{0, 0}};
  for (const auto& vary : options.vary) {
    for (int index = 1; index * options.step < 0.9 + 1e-9; ++index) {
      const double share = index * options.step;
      all.push_back({vary == "memory" ? 0 : share, vary == "cpu" ? 0 : share});
    }
  }
  return all;
}

Result<int> run(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto bench, LatencyBench::create(options.setting));
  Results results;
  const auto cell_of = [&](const std::string& app, const Point& point) {
    return Cell{.app = app,
                .mode = "pocket",
                .load = options.load,
                .cpu_policy = policy(options, point.cpu_ratio),
                .mem_policy = policy(options, point.mem_ratio),
                .clients = options.clients,
                .utilisation = options.load == "burst" ? options.utilisation : 0};
  };
  for (const auto& app : options.apps) {
    for (int round = 0; round < options.rounds; ++round) {
      for (const Point& point : points(options)) {
        show_progress(fmt::format("{}, CPU {:.1f}, memory {:.1f}, round {} of {}", app,
                                  point.cpu_ratio, point.mem_ratio, round + 1, options.rounds));
        POCKET_RETURN_IF_ERROR(bench->run(cell_of(app, point), round, results));
      }
    }
  }
  end_progress();
  nlohmann::json report = make_report("eval-policy", {{"seconds", options.setting.seconds},
                                                      {"rounds", options.rounds},
                                                      {"granularity", options.granularity},
                                                      {"seed", options.setting.seed},
                                                      {"budget", to_json(options.setting.budget)}});
  for (const auto& app : options.apps) {
    POCKET_ASSIGN_OR_RETURN(const Budget budget, bench->budget(app, options.clients));
    for (const Point& point : points(options)) {
      const Cell cell = cell_of(app, point);
      auto row = make_row(options.setting.engine, budget, cell, results[cell]);
      row["cpu_ratio"] = point.cpu_ratio;
      row["mem_ratio"] = point.mem_ratio;
      report["rows"].push_back(std::move(row));
    }
  }
  if (options.json != "-") {
    print_budget(options.setting.budget);
    print_rows(report["rows"]);
  }
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, report));
  return 0;
}

}  // namespace

void add_bench_eval_policy(CLI::App& bench, Action& action) {
  auto options = std::make_shared<Options>();
  options->setting.budget.kind = "equal";
  auto* command = bench.add_subcommand(
      "eval-policy", "How much is worth lending: the share of CPU and memory from 0 to 0.9");
  add_json_option(*command, options->json);
  add_latency_setting(*command, options->setting);
  command->get_option("--budget")->check(CLI::IsMember({"equal", "paper"}));
  command->add_option("--apps,--app", options->apps, "Apps to run")
      ->delimiter(',')
      ->check(CLI::IsMember(kBenchApps))
      ->capture_default_str();
  command->add_option("--vary", options->vary, "both, cpu, memory: what is lent")
      ->delimiter(',')
      ->check(CLI::IsMember({"both", "cpu", "memory"}))
      ->capture_default_str();
  command->add_option("--granularity", options->granularity, "When it is lent")
      ->check(CLI::IsMember({"func", "conn", "adaptive", "idle"}))
      ->capture_default_str();
  command->add_option("--load", options->load, "closed or burst")
      ->check(CLI::IsMember({"closed", "burst"}))
      ->capture_default_str();
  command->add_option("--utilisation", options->utilisation, "Of a burst")
      ->check(CLI::Range(0.001, 10.0))
      ->capture_default_str();
  command->add_option("--step", options->step, "Between two shares")
      ->check(CLI::Range(0.01, 0.9))
      ->capture_default_str();
  command->add_option("--clients", options->clients, "Clients at once")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--rounds,--iteration", options->rounds, "Rounds")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
