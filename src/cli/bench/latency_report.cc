#include "cli/bench/latency_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "cli/bench/report.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

std::string policy_of(const Cell& cell) {
  return cell.cpu_policy == cell.mem_policy ? cell.cpu_policy
                                            : cell.cpu_policy + " / " + cell.mem_policy;
}

const Gathered* find(const Results& results, const Cell& cell) {
  const auto found = results.find(cell);
  return found == results.end() ? nullptr : &found->second;
}

double throttled_ratio(const GroupUse& use) {
  return use.periods == 0
             ? 0
             : static_cast<double>(use.throttled_periods) / static_cast<double>(use.periods);
}

/// One client warm and at most clients against the most the engine does: when nothing is limited.
void print_closed_ratios(const Results& results, const Cell& cell, const Gathered& gathered,
                         int most_clients) {
  Cell monolithic{.app = cell.app, .mode = "monolithic", .load = "closed", .clients = cell.clients};
  const Gathered* other = find(results, monolithic);
  if (other != nullptr) {
    fmt::print("{} {} client{} closed, policy {}: p50 {:.3f} x monolithic\n", cell.app,
               cell.clients, cell.clients == 1 ? "" : "s", policy_of(cell),
               quantile(gathered.round_p50_ms, 0.5) / quantile(other->round_p50_ms, 0.5));
  }
  const Gathered* best = find(results, Cell{.app = cell.app, .mode = "engine", .load = "closed"});
  if (cell.clients != most_clients || best == nullptr) return;
  monolithic.clients = 1;
  const Gathered* alone = find(results, monolithic);
  const double most = std::max(quantile(best->round_per_second, 0.5),
                               alone == nullptr ? 0.0 : quantile(alone->round_per_second, 0.5));
  fmt::print("{}: throughput of {} clients {:.3f} x the most the engine does in one process\n",
             cell.app, cell.clients, quantile(gathered.round_per_second, 0.5) / most);
}

void print_burst_ratio(const Results& results, const Cell& cell, const Gathered& gathered) {
  Cell monolithic = cell;
  monolithic.mode = "monolithic";
  monolithic.cpu_policy = monolithic.mem_policy = "none";
  const Gathered* other = find(results, monolithic);
  if (other == nullptr) return;
  fmt::print(
      "{} {} clients burst {:.1f}, policy {}: p50 {:.3f} x, p95 {:.3f} x monolithic; runner "
      "throttled in {:.1f} % of its periods\n",
      cell.app, cell.clients, cell.utilisation, policy_of(cell),
      quantile(gathered.times_ms, 0.5) / quantile(other->times_ms, 0.5),
      quantile(gathered.times_ms, 0.95) / quantile(other->times_ms, 0.95),
      100 * throttled_ratio(gathered.service_use));
}

}  // namespace

json make_row(const std::string& engine, const Budget& budget, const Cell& cell,
              const Gathered& gathered) {
  const auto& times = gathered.times_ms;
  const bool pocket = cell.mode == "pocket";
  json row = {{"app", cell.app},
              {"mode", cell.mode},
              {"engine", engine},
              {"policy", policy_of(cell)},
              {"clients", cell.clients},
              {"load", cell.load},
              {"calls", times.size()},
              {"errors", 0},  // a call that fails ends the benchmark
              {"mean_ms", mean(times)},
              {"p50_ms", quantile(times, 0.5)},
              {"p95_ms", quantile(times, 0.95)},
              {"p99_ms", quantile(times, 0.99)},
              {"max_ms", quantile(times, 1)},
              {"throughput_per_s", quantile(gathered.round_per_second, 0.5)},
              {"cpu_budget", budget.limited() ? budget.total_cpus(pocket, cell.clients)
                                              : std::thread::hardware_concurrency()},
              {"mem_budget_mb", nullptr}};
  if (budget.limited()) {
    const uint64_t memory =
        pocket ? budget.client.memory_bytes * cell.clients + budget.service.memory_bytes
               : budget.monolithic.memory_bytes * cell.clients;
    row["mem_budget_mb"] = static_cast<double>(memory) / 1e6;
  }
  if (cell.load == "burst") row["utilisation"] = cell.utilisation;
  if (!gathered.round_p50_ms.empty()) {
    row["p50_min_ms"] = quantile(gathered.round_p50_ms, 0);
    row["p50_max_ms"] = quantile(gathered.round_p50_ms, 1);
    row["p95_min_ms"] = quantile(gathered.round_p95_ms, 0);
    row["p95_max_ms"] = quantile(gathered.round_p95_ms, 1);
    row["throughput_min_per_s"] = quantile(gathered.round_per_second, 0);
    row["throughput_max_per_s"] = quantile(gathered.round_per_second, 1);
  }
  if (budget.limited() && gathered.seconds > 0) {
    GroupUse all = gathered.clients_use;
    all += gathered.service_use;
    row["cpu_used"] = all.cpu_seconds / gathered.seconds;
    row["throttled_ratio"] = throttled_ratio(pocket ? gathered.service_use : gathered.clients_use);
    if (pocket) {
      row["lent_cpu_mean"] = gathered.borrowed_cpu_seconds / gathered.seconds;
      row["lent_mb_mean"] = gathered.borrowed_byte_seconds / gathered.seconds / 1e6;
      row["lend_us_p50"] = gathered.lend_us_p50;
      row["return_us_p50"] = gathered.return_us_p50;
    }
  }
  return row;
}

void print_rows(const json& rows) {
  fmt::print("{:12} {:10} {:18} {:6} {:>4} {:>7} {:>6} {:>9} {:>9} {:>9} {:>8} {:>6} {:>6} {:>6}\n",
             "app", "mode", "policy", "load", "util", "clients", "calls", "p50 ms", "p95 ms",
             "p99 ms", "calls/s", "cpu", "thr %", "lent");
  const auto number = [](const json& row, const char* key, double factor, int digits) {
    return row.contains(key) && row[key].is_number()
               ? fmt::format("{:.{}f}", row[key].get<double>() * factor, digits)
               : std::string();
  };
  for (const auto& row : rows) {
    const double rate = row["throughput_per_s"].get<double>();
    fmt::print(
        "{:12} {:10} {:18} {:6} {:>4} {:>7} {:>6} {:>9.2f} {:>9.2f} {:>9.2f} {:>8} {:>6} {:>6} "
        "{:>6}\n",
        row["app"].get<std::string>(), row["mode"].get<std::string>(),
        row["policy"].get<std::string>(), row["load"].get<std::string>(),
        number(row, "utilisation", 1, 1), row["clients"].get<int>(), row["calls"].get<size_t>(),
        row["p50_ms"].get<double>(), row["p95_ms"].get<double>(), row["p99_ms"].get<double>(),
        rate > 0 ? fmt::format("{:.1f}", rate) : "", number(row, "cpu_used", 1, 2),
        number(row, "throttled_ratio", 100, 1), number(row, "lent_cpu_mean", 1, 2));
  }
}

void print_ratios(const Results& results) {
  int most_clients = 0;
  for (const auto& [cell, gathered] : results) {
    if (cell.load == "closed") most_clients = std::max(most_clients, cell.clients);
  }
  for (const auto& [cell, gathered] : results) {
    if (cell.mode != "pocket") continue;
    if (cell.load == "closed") print_closed_ratios(results, cell, gathered, most_clients);
    if (cell.load == "burst") print_burst_ratio(results, cell, gathered);
    if (cell.load != "cold") continue;
    Cell monolithic = cell;
    monolithic.mode = "monolithic";
    monolithic.cpu_policy = monolithic.mem_policy = "none";
    if (const Gathered* other = find(results, monolithic)) {
      fmt::print("{} {} client{} cold: {:.3f} x monolithic\n", cell.app, cell.clients,
                 cell.clients == 1 ? "" : "s",
                 quantile(gathered.times_ms, 0.5) / quantile(other->times_ms, 0.5));
    }
  }
}

}  // namespace pocket::cli
