// pocket bench latency: app processes calling through Pocket and monolithically, closed loop and
// cold, both with the whole machine and nothing pinned.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "base/clock.h"
#include "cli/bench/command.h"
#include "cli/bench/processes.h"
#include "cli/bench/report.h"
#include "cli/local_service.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string json;
  std::string models;
  std::string engine = "openvino";
  std::vector<std::string> apps = {"mobilenetv2", "resnet50"};
  std::vector<int> clients = {1, 2, 3, 5, 10};
  std::vector<int> cold_clients = {1, 5};
  double seconds = 2;
  int rounds = 3;
  int cold_starts = 10;
};

/// One kind of measurement; its rounds are gathered under it.
struct Key {
  std::string app, mode, load;
  int clients;
  auto operator<=>(const Key&) const = default;
};

struct Gathered {
  std::vector<double> times_ms;      // every call of every client of every round
  std::vector<double> round_p50_ms;  // for the spread
  std::vector<double> round_per_second;
  int errors = 0;
};

using Results = std::map<Key, Gathered>;

std::vector<std::string> command(const Options& options, const std::string& socket,
                                 const Key& key) {
  const bool pocket = key.mode == "pocket";
  std::vector<std::string> arguments = {program_folder() + "/" + key.app +
                                        (pocket ? "" : "-monolithic")};
  if (pocket) {
    arguments.insert(arguments.end(), {"--socket", socket});
  } else {
    arguments.insert(arguments.end(), {"--models", options.models});
  }
  arguments.insert(arguments.end(), {"--engine", options.engine, "--json", "-"});
  return arguments;
}

Result<void> run_closed(const Options& options, const std::string& socket, const Key& key,
                        int parallel, Results& results) {
  auto arguments = command(options, socket, key);
  arguments.insert(arguments.end(),
                   {"--gate", "--warm-up", "5", "--seconds", fmt::format("{}", options.seconds),
                    "--parallel", std::to_string(parallel)});
  std::vector<AppProcess> processes;
  for (int client = 0; client < key.clients; ++client) {
    POCKET_ASSIGN_OR_RETURN(auto process, AppProcess::start(arguments));
    processes.push_back(std::move(process));
  }
  for (auto& process : processes) POCKET_RETURN_IF_ERROR(process.wait_until_ready());
  for (auto& process : processes) process.release();
  Gathered& gathered = results[key];
  std::vector<double> round;
  double per_second = 0;
  for (auto& process : processes) {
    POCKET_ASSIGN_OR_RETURN(const json report, process.finish());
    const auto times = report["timing"]["calls_ms"].get<std::vector<double>>();
    per_second +=
        static_cast<double>(times.size()) * 1e3 / report["timing"]["calls_took_ms"].get<double>();
    round.insert(round.end(), times.begin(), times.end());
  }
  gathered.round_p50_ms.push_back(quantile(round, 0.5));
  gathered.round_per_second.push_back(per_second);
  gathered.times_ms.insert(gathered.times_ms.end(), round.begin(), round.end());
  return ok_result();
}

/// From exec to the first answer, `clients` started at the same moment.
Result<void> run_cold(const Options& options, const std::string& socket, const Key& key,
                      Results& results) {
  std::vector<AppProcess> processes;
  for (int client = 0; client < key.clients; ++client) {
    POCKET_ASSIGN_OR_RETURN(auto process, AppProcess::start(command(options, socket, key)));
    processes.push_back(std::move(process));
  }
  Gathered& gathered = results[key];
  for (auto& process : processes) {
    const uint64_t started_ns = process.started_ns();
    POCKET_ASSIGN_OR_RETURN(const json report, process.finish());
    const auto answered_ns = report["timing"]["first_answer_monotonic_ns"].get<uint64_t>();
    gathered.times_ms.push_back(static_cast<double>(answered_ns - started_ns) / 1e6);
  }
  return ok_result();
}

/// Both modes of one app, interleaved in each round, so that noise hits them alike.
Result<void> run_app(const Options& options, const std::string& socket, const std::string& app,
                     Results& results) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  for (int round = 0; round < options.rounds; ++round) {
    for (const int clients : options.clients) {
      show_progress(
          fmt::format("{}, {} clients, round {} of {}", app, clients, round + 1, options.rounds));
      for (const char* mode : {"pocket", "monolithic"}) {
        const Key key{app, mode, "closed", clients};
        POCKET_RETURN_IF_ERROR(run_closed(options, socket, key, 1, results));
      }
    }
    // The most the engine does in one process: as many calls at once as processors.
    const Key best{app, "engine", "closed", 1};
    POCKET_RETURN_IF_ERROR(run_closed(options, socket, best, processors, results));
  }
  for (int start = 0; start < options.cold_starts; ++start) {
    show_progress(fmt::format("{}, cold start {} of {}", app, start + 1, options.cold_starts));
    for (const int clients : options.cold_clients) {
      for (const char* mode : {"pocket", "monolithic"}) {
        POCKET_RETURN_IF_ERROR(run_cold(options, socket, {app, mode, "cold", clients}, results));
      }
    }
  }
  end_progress();
  return ok_result();
}

json make_row(const Options& options, const Key& key, const Gathered& gathered) {
  const auto& times = gathered.times_ms;
  json row = {{"app", key.app},
              {"mode", key.mode},
              {"engine", options.engine},
              {"policy", "none"},
              {"clients", key.clients},
              {"load", key.load},
              {"calls", times.size()},
              {"errors", gathered.errors},
              {"mean_ms", mean(times)},
              {"p50_ms", quantile(times, 0.5)},
              {"p95_ms", quantile(times, 0.95)},
              {"p99_ms", quantile(times, 0.99)},
              {"max_ms", quantile(times, 1)},
              {"throughput_per_s", quantile(gathered.round_per_second, 0.5)},
              {"cpu_budget", std::thread::hardware_concurrency()},
              {"mem_budget_mb", nullptr}};
  if (!gathered.round_p50_ms.empty()) {
    row["p50_min_ms"] = quantile(gathered.round_p50_ms, 0);
    row["p50_max_ms"] = quantile(gathered.round_p50_ms, 1);
    row["throughput_min_per_s"] = quantile(gathered.round_per_second, 0);
    row["throughput_max_per_s"] = quantile(gathered.round_per_second, 1);
  }
  return row;
}

void print_rows(const json& rows) {
  fmt::print("{:12} {:10} {:6} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9}\n", "app", "mode", "load",
             "clients", "calls", "p50 ms", "p95 ms", "p99 ms", "calls/s");
  for (const auto& row : rows) {
    const double rate = row["throughput_per_s"].get<double>();
    fmt::print("{:12} {:10} {:6} {:>7} {:>7} {:>9.2f} {:>9.2f} {:>9.2f} {:>9}\n",
               row["app"].get<std::string>(), row["mode"].get<std::string>(),
               row["load"].get<std::string>(), row["clients"].get<int>(),
               row["calls"].get<size_t>(), row["p50_ms"].get<double>(), row["p95_ms"].get<double>(),
               row["p99_ms"].get<double>(), rate > 0 ? fmt::format("{:.1f}", rate) : "");
  }
}

/// The three figures this benchmark is for.
void print_ratios(const Options& options, const Results& results) {
  const auto get = [&](const std::string& app, const char* mode, const char* load, int clients) {
    const auto found = results.find(Key{app, mode, load, clients});
    return found == results.end() ? nullptr : &found->second;
  };
  for (const auto& app : options.apps) {
    const auto* warm = get(app, "pocket", "closed", 1);
    const auto* warm_mono = get(app, "monolithic", "closed", 1);
    if (warm != nullptr && warm_mono != nullptr) {
      fmt::print("{}: warm p50 of one client {:.3f} x monolithic\n", app,
                 quantile(warm->round_p50_ms, 0.5) / quantile(warm_mono->round_p50_ms, 0.5));
    }
    const int most = *std::max_element(options.clients.begin(), options.clients.end());
    const auto* busy = get(app, "pocket", "closed", most);
    const auto* best = get(app, "engine", "closed", 1);
    if (busy != nullptr && best != nullptr) {
      const double most_in_one =
          std::max(quantile(best->round_per_second, 0.5),
                   warm_mono == nullptr ? 0.0 : quantile(warm_mono->round_per_second, 0.5));
      fmt::print("{}: throughput of {} clients {:.3f} x the most the engine does in one process\n",
                 app, most, quantile(busy->round_per_second, 0.5) / most_in_one);
    }
    const auto* cold = get(app, "pocket", "cold", 1);
    const auto* cold_mono = get(app, "monolithic", "cold", 1);
    if (cold != nullptr && cold_mono != nullptr) {
      fmt::print("{}: cold {:.3f} x monolithic\n", app,
                 quantile(cold->times_ms, 0.5) / quantile(cold_mono->times_ms, 0.5));
    }
  }
}

Result<int> run(Options options) {
  if (options.models.empty()) {
    options.models =
        (std::filesystem::path(program_folder()) / "../../.deps/models").lexically_normal();
  }
  ::signal(SIGPIPE, SIG_IGN);
  POCKET_ASSIGN_OR_RETURN(auto service, LocalService::create(options.models));
  POCKET_RETURN_IF_ERROR(service->start());
  Results results;
  for (const auto& app : options.apps) {
    const Key key{app, "pocket", "first", 1};  // the service loads the model: not measured
    POCKET_RETURN_IF_ERROR(run_cold(options, service->socket(), key, results));
    results.erase(key);
    POCKET_RETURN_IF_ERROR(run_app(options, service->socket(), app, results));
  }
  json report = make_report("latency", {{"seconds", options.seconds},
                                        {"rounds", options.rounds},
                                        {"cold_starts", options.cold_starts},
                                        {"pinned", false}});
  for (const auto& [key, gathered] : results) {
    report["rows"].push_back(make_row(options, key, gathered));
  }
  if (options.json != "-") {
    print_rows(report["rows"]);
    print_ratios(options, results);
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
  command->add_option("--apps", options->apps, "Apps to run")
      ->check(CLI::IsMember({"classify", "mobilenetv2", "resnet50", "facedetect"}))
      ->capture_default_str();
  command->add_option("--models", options->models, "Folder of the models (default: as built)");
  command->add_option("--engine", options->engine, "Engine of both sides")->capture_default_str();
  command->add_option("--clients", options->clients, "Numbers of clients, closed loop")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--cold-clients", options->cold_clients, "Numbers of clients, cold")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "Of each measurement")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "Rounds")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--cold-starts", options->cold_starts, "Cold starts of each kind")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
