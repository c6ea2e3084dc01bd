// pocket bench lend: what lending a client's budget costs pocketd, and what it adds to a call.
#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "cli/bench/command.h"
#include "cli/bench/lend_measure.h"
#include "cli/bench/report.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string json;
  std::vector<std::string> policies = {"func,ratio,0.5", "adaptive"};
  int calls = 500;
  int rounds = 5;
  int pause_us = 2000;
};

const char* name_of(LendLoad load) { return load == LendLoad::kAsleep ? "asleep" : "back-to-back"; }

json latency_row(LendLoad load, const std::string& policy, const std::vector<LendRound>& rounds,
                 double off_p50_us) {
  std::vector<double> p50, p99;
  for (const auto& round : rounds) {
    p50.push_back(round.p50_us);
    p99.push_back(round.p99_us);
  }
  return {{"measure", "latency"},
          {"load", name_of(load)},
          {"policy", policy},
          {"p50_us", quantile(p50, 0.5)},
          {"p50_min_us", quantile(p50, 0)},
          {"p50_max_us", quantile(p50, 1)},
          {"p99_us", quantile(p99, 0.5)},
          {"added_p50_us", quantile(p50, 0.5) - off_p50_us}};
}

/// Without budgets, with the policy none, and with each policy: interleaved in each round.
Result<void> measure_latency(LendBench& bench, LendLoad load, const Options& options, json& rows) {
  std::vector<std::string> policies = {"off", "none"};
  policies.insert(policies.end(), options.policies.begin(), options.policies.end());
  // Back to back a call takes so little that many more are needed.
  const int calls = load == LendLoad::kAsleep ? options.calls : options.calls * 40;
  std::map<std::string, std::vector<LendRound>> rounds;
  std::vector<double> off;
  for (int round = 0; round < options.rounds; ++round) {
    for (const auto& policy : policies) {
      show_progress(
          fmt::format("{}, {}, round {} of {}", name_of(load), policy, round + 1, options.rounds));
      POCKET_ASSIGN_OR_RETURN(const LendRound measured, bench.latency(policy, load, calls));
      rounds[policy].push_back(measured);
      if (policy == "off") off.push_back(measured.p50_us);
    }
  }
  end_progress();
  for (const auto& policy : policies) {
    rows.push_back(latency_row(load, policy, rounds[policy], quantile(off, 0.5)));
  }
  return ok_result();
}

Result<void> measure_cost(LendBench& bench, const Options& options, json& rows) {
  std::vector<double> pocketd, raw, together, warm, wakeups, ratio, ratio_together, ratio_warm;
  double loans = 0;
  for (int round = 0; round < options.rounds; ++round) {
    show_progress(fmt::format("processor time, round {} of {}", round + 1, options.rounds));
    POCKET_ASSIGN_OR_RETURN(const LendCost cost, bench.cost(options.calls));
    loans += cost.loans;
    pocketd.push_back(cost.pocketd_us);
    raw.push_back(cost.raw_us);
    together.push_back(cost.raw_together_us);
    warm.push_back(cost.raw_warm_us);
    wakeups.push_back(cost.wakeups);
    ratio.push_back(cost.pocketd_us / cost.raw_us);
    ratio_together.push_back(cost.pocketd_us / cost.raw_together_us);
    ratio_warm.push_back(cost.pocketd_us / cost.raw_warm_us);
  }
  end_progress();
  rows.push_back({{"measure", "cost"},
                  {"policy", "func,ratio,0.5"},
                  {"loans", loans},
                  {"pocketd_cpu_us", quantile(pocketd, 0.5)},
                  {"raw_writes_cpu_us", quantile(raw, 0.5)},
                  {"raw_writes_together_cpu_us", quantile(together, 0.5)},
                  {"raw_writes_warm_cpu_us", quantile(warm, 0.5)},
                  {"wakeups_per_loan", quantile(wakeups, 0.5)},
                  {"ratio", quantile(ratio, 0.5)},
                  {"ratio_min", quantile(ratio, 0)},
                  {"ratio_max", quantile(ratio, 1)},
                  {"ratio_to_together", quantile(ratio_together, 0.5)},
                  {"ratio_to_warm", quantile(ratio_warm, 0.5)}});
  return ok_result();
}

void print_rows(const json& rows) {
  for (const auto& row : rows) {
    const auto number = [&row](const char* key) { return row[key].get<double>(); };
    if (row["measure"] == "cost") {
      fmt::print(
          "a loan and its return take pocketd {:.1f} us of processor time. The limit writes "
          "alone:\n"
          "  two and two, at the same moments   {:5.1f} us: {:.2f} times ({:.2f} to {:.2f})\n"
          "  four together, after the pause     {:5.1f} us: {:.2f} times\n"
          "  without any pause                  {:5.1f} us: {:.2f} times\n\n",
          number("pocketd_cpu_us"), number("raw_writes_cpu_us"), number("ratio"),
          number("ratio_min"), number("ratio_max"), number("raw_writes_together_cpu_us"),
          number("ratio_to_together"), number("raw_writes_warm_cpu_us"), number("ratio_to_warm"));
    }
  }
  fmt::print("{:13} {:16} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "load", "policy", "p50 us", "min",
             "max", "p99 us", "added us");
  for (const auto& row : rows) {
    if (row["measure"] != "latency") continue;
    fmt::print("{:13} {:16} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}\n",
               row["load"].get<std::string>(), row["policy"].get<std::string>(),
               row["p50_us"].get<double>(), row["p50_min_us"].get<double>(),
               row["p50_max_us"].get<double>(), row["p99_us"].get<double>(),
               row["added_p50_us"].get<double>());
  }
  fmt::print(
      "off: the service has no budget, so nothing can be lent. min and max are the p50 of rounds.\n"
      "Processors only; the null engine answers at once, so the client's p50 is all Pocket.\n");
}

Result<int> run(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto bench, LendBench::create(options.pause_us));
  json report = make_report(
      "lend",
      {{"calls", options.calls}, {"rounds", options.rounds}, {"pause_us", options.pause_us}});
  POCKET_RETURN_IF_ERROR(measure_cost(*bench, options, report["rows"]));
  for (const LendLoad load : {LendLoad::kAsleep, LendLoad::kBackToBack}) {
    POCKET_RETURN_IF_ERROR(measure_latency(*bench, load, options, report["rows"]));
  }
  if (options.json != "-") print_rows(report["rows"]);
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, report));
  return 0;
}

}  // namespace

void add_bench_lend(CLI::App& bench, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = bench.add_subcommand(
      "lend",
      "What lending costs pocketd beside the bare limit writes, and what it adds to a call");
  add_json_option(*command, options->json);
  command->add_option("--policy,--policies", options->policies, "CPU policies, beside none");
  command->add_option("--calls", options->calls, "Calls in each round")
      ->check(CLI::Range(50, 1'000'000))
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "Rounds")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--pause-us", options->pause_us, "Pause before each call that comes asleep")
      ->check(CLI::Range(100, 1'000'000))
      ->capture_default_str();
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
