// pocket bench isolation: what each protection of a runner costs, in a call and at its start.
#include <fmt/format.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cli/bench/command.h"
#include "cli/bench/isolation_service.h"
#include "cli/bench/report.h"
#include "sandbox/settings.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string json;
  std::vector<std::string> mechanisms;  // empty: all
  int calls = 5000;
  int starts = 3;
  int rounds = 5;
};

/// The times of one cell.
struct Times {
  std::vector<double> calls_ms, round_call_p50_ms;
  std::vector<double> starts_ms, round_start_p50_ms;
};

std::vector<IsolationCell> cells_of(const Options& options) {
  std::vector<std::string> mechanisms = options.mechanisms;
  if (mechanisms.empty()) {
    mechanisms.emplace_back("all");
    for (const auto protection : sandbox::kAllProtections) {
      mechanisms.emplace_back(sandbox::name_of(protection));
    }
  }
  std::vector<IsolationCell> cells;
  for (const auto& mechanism : mechanisms) {
    cells.push_back({mechanism, true});
    cells.push_back({mechanism, false});
  }
  return cells;
}

json make_row(const IsolationCell& cell, const char* load, const std::vector<double>& times,
              const std::vector<double>& round_p50) {
  return {{"app", "null"},
          {"mode", "pocket"},
          {"engine", "null"},
          {"policy", "none"},
          {"clients", 1},
          {"load", load},
          {"mechanism", cell.mechanism},
          {"state", cell.on ? "on" : "off"},
          {"calls", times.size()},
          {"errors", 0},  // a call that fails ends the benchmark
          {"mean_ms", mean(times)},
          {"p50_ms", quantile(round_p50, 0.5)},
          {"p50_min_ms", quantile(round_p50, 0)},
          {"p50_max_ms", quantile(round_p50, 1)},
          {"p95_ms", quantile(times, 0.95)},
          {"p99_ms", quantile(times, 0.99)},
          {"max_ms", quantile(times, 1)},
          {"throughput_per_s", 1000 / mean(times)},
          {"cpu_budget", std::thread::hardware_concurrency()},
          {"mem_budget_mb", nullptr}};
}

Result<void> measure_round(IsolationService& service, const Options& options, Times& times) {
  std::vector<double> starts;
  for (int count = 0; count < options.starts; ++count) {
    POCKET_ASSIGN_OR_RETURN(starts.emplace_back(), service.cold_start());
  }
  POCKET_ASSIGN_OR_RETURN(const auto calls, service.calls(options.calls));
  times.starts_ms.insert(times.starts_ms.end(), starts.begin(), starts.end());
  times.calls_ms.insert(times.calls_ms.end(), calls.begin(), calls.end());
  times.round_start_p50_ms.push_back(quantile(starts, 0.5));
  times.round_call_p50_ms.push_back(quantile(calls, 0.5));
  return ok_result();
}

void print_rows(const json& rows, const std::set<std::string>& notes) {
  fmt::print("{:18} {:6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "mechanism", "state", "call us",
             "min", "max", "start ms", "min", "max");
  for (size_t index = 0; index + 1 < rows.size(); index += 2) {
    const json &call = rows[index], &start = rows[index + 1];
    const auto number = [](const json& row, const char* key) { return row[key].get<double>(); };
    fmt::print("{:18} {:6} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}\n",
               call["mechanism"].get<std::string>(), call["state"].get<std::string>(),
               number(call, "p50_ms") * 1000, number(call, "p50_min_ms") * 1000,
               number(call, "p50_max_ms") * 1000, number(start, "p50_ms"),
               number(start, "p50_min_ms"), number(start, "p50_max_ms"));
  }
  fmt::print(
      "on: that protection alone, or all; off: all but that one, or none. min and max are the "
      "p50 of rounds.\n");
  for (const auto& note : notes) fmt::print("not measured: {}\n", note);
}

Result<int> run(const Options& options) {
  // All of them at once, so that each round meets the same noise; idle services cost nothing.
  std::vector<std::unique_ptr<IsolationService>> services;
  std::set<std::string> notes;
  for (const auto& cell : cells_of(options)) {
    POCKET_ASSIGN_OR_RETURN(auto service, IsolationService::start(cell));
    notes.insert(service->notes().begin(), service->notes().end());
    services.push_back(std::move(service));
  }
  std::vector<Times> times(services.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t index = 0; index < services.size(); ++index) {
      const auto& cell = services[index]->cell();
      show_progress(fmt::format("{} {}, round {} of {}", cell.mechanism, cell.on ? "on" : "off",
                                round + 1, options.rounds));
      POCKET_RETURN_IF_ERROR(measure_round(*services[index], options, times[index]));
    }
  }
  end_progress();
  json report = make_report("isolation", {{"calls", options.calls},
                                          {"starts", options.starts},
                                          {"rounds", options.rounds},
                                          {"notes", notes}});
  json& rows = report["rows"];
  for (size_t index = 0; index < services.size(); ++index) {
    const auto& cell = services[index]->cell();
    const Times& all = times[index];
    rows.push_back(make_row(cell, "closed", all.calls_ms, all.round_call_p50_ms));
    rows.push_back(make_row(cell, "cold", all.starts_ms, all.round_start_p50_ms));
  }
  if (options.json != "-") print_rows(rows, notes);
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, report));
  return 0;
}

}  // namespace

void add_bench_isolation(CLI::App& bench, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = bench.add_subcommand(
      "isolation", "What each protection of a runner costs, in a null call and at its start");
  add_json_option(*command, options->json);
  std::vector<std::string> known = {"all"};
  for (const auto protection : sandbox::kAllProtections) {
    known.emplace_back(sandbox::name_of(protection));
  }
  command->add_option("--mechanism", options->mechanisms, "Protections to switch; default: each")
      ->check(CLI::IsMember(known));
  command->add_option("--calls", options->calls, "Calls in each round")
      ->check(CLI::Range(1, 10'000'000));
  command->add_option("--starts", options->starts, "Starts in each round")
      ->check(CLI::Range(1, 10'000));
  command->add_option("--rounds", options->rounds, "Rounds")->check(CLI::Range(1, 1000));
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
