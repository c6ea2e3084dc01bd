// pocket bench fairness: what a client that asks for little gets beside one that asks for
// everything, and how equals and weights share the processor.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cli/bench/command.h"
#include "cli/bench/report.h"
#include "cli/local_service.h"
#include "pocket/pocket.hpp"

namespace pocket::cli {
namespace {

using nlohmann::json;

constexpr int64_t kFloats = 150'528;  // 602,112 bytes: a picture of 224 x 224
constexpr int kFloodChannels = 4;
constexpr int kFloodCalls = 16;  // on each: 64 in flight

struct Options {
  std::string json;
  int calls = 200;
  int rounds = 3;
  int call_us = 4000;
  double seconds = 3;
  double cpus = std::thread::hardware_concurrency();
};

/// Keeps calls in flight on a session of its own until it is destroyed.
class Client {
 public:
  Client(const std::string& socket, const std::string& model, int channels, int calls)
      : thread_([this, socket, model, channels, calls](const std::stop_token& stop) {
          try {
            serve(socket, model, channels, calls, stop);
          } catch (const StatusError& error) {
            error_ = error.what();
            failed_ = true;
          }
        }) {}
  bool failed() const { return failed_; }
  /// Once it has failed.
  const std::string& error() const { return error_; }
  uint64_t served() const { return served_; }
  /// What its answered calls used, by their receipts.
  double processor_ms() const { return static_cast<double>(processor_ns_) / 1e6; }

 private:
  void serve(const std::string& socket, const std::string& name, int channels, int calls,
             const std::stop_token& stop) {
    const Session session(ConnectOptions{.socket = socket, .wait_mode = POCKET_WAIT_PARK});
    std::vector<std::unique_ptr<Model>> models;
    std::vector<std::unique_ptr<Call>> flight;
    for (int channel = 0; channel < channels; ++channel) {
      models.push_back(std::make_unique<Model>(session, name));
      for (int call = 0; call < calls; ++call) {
        flight.push_back(std::make_unique<Call>(*models.back()));
        std::ranges::fill(flight.back()->input<float>(0, {kFloats}), 1.0F);
      }
    }
    for (auto& call : flight) call->submit();
    while (!stop.stop_requested()) {
      for (auto& call : flight) {
        call->wait();
        served_ += 1;
        processor_ns_ += call->receipt().cpu_ns;
        call->submit();
      }
    }
  }
  std::atomic<uint64_t> served_{0};
  std::atomic<uint64_t> processor_ns_{0};
  std::string error_;  // written before failed_
  std::atomic<bool> failed_{false};
  std::jthread thread_;  // last: ends first
};

Result<void> wait_until_served(const Client& client, uint64_t calls) {
  while (client.served() < calls) {
    if (client.failed())
      return Error{POCKET_UNAVAILABLE, "a client of the bench: " + client.error()};
    ::usleep(1000);
  }
  return ok_result();
}

/// One call after the other with a pause before each; milliseconds.
std::vector<double> call_lightly(const std::string& socket, const std::string& name, int calls,
                                 int pause_us) {
  const Session session(ConnectOptions{.socket = socket, .wait_mode = POCKET_WAIT_PARK});
  const Model model(session, name);
  Call call(model);
  std::ranges::fill(call.input<float>(0, {kFloats}), 1.0F);
  call.run();
  std::vector<double> times;
  for (int turn = 0; turn < calls; ++turn) {
    ::usleep(static_cast<useconds_t>(pause_us));
    const uint64_t start_ns = monotonic_ns();
    call.run();
    times.push_back(static_cast<double>(monotonic_ns() - start_ns) / 1e6);
  }
  return times;
}

json victim_row(const std::string& beside, const std::vector<std::vector<double>>& rounds) {
  std::vector<double> p50, p95, p99;
  for (const auto& times : rounds) {
    p50.push_back(quantile(times, 0.5));
    p95.push_back(quantile(times, 0.95));
    p99.push_back(quantile(times, 0.99));
  }
  return {{"part", "victim"},
          {"beside", beside},
          {"calls", rounds.size() * rounds.front().size()},
          {"p50_ms", quantile(p50, 0.5)},
          {"p95_ms", quantile(p95, 0.5)},
          {"p99_ms", quantile(p99, 0.5)}};
}

/// Alone and beside each kind of flood in every round, so that noise hits them alike.
Result<void> measure_victim(const std::string& socket, const Options& options, json& rows) {
  const std::vector<std::string> floods = {"", "short", "long"};
  std::map<std::string, std::vector<std::vector<double>>> times;
  for (int round = 0; round < options.rounds; ++round) {
    for (const auto& model : floods) {
      show_progress(
          fmt::format("victim beside '{}', round {} of {}", model, round + 1, options.rounds));
      std::unique_ptr<Client> flood;
      if (!model.empty()) {
        flood = std::make_unique<Client>(socket, model, kFloodChannels, kFloodCalls);
        POCKET_RETURN_IF_ERROR(wait_until_served(*flood, 10));
      }
      times[model].push_back(call_lightly(socket, "short", options.calls, 2 * options.call_us));
    }
  }
  const double alone = victim_row("", times[""])["p99_ms"];
  for (const auto& model : floods) {
    json row =
        victim_row(model.empty() ? "nobody" : "a flood of the " + model + " model", times[model]);
    row["p99_ratio"] = row["p99_ms"].get<double>() / alone;
    rows.push_back(std::move(row));
  }
  return ok_result();
}

struct Share {
  std::string socket, model;
  int calls;
  double weight;
};

/// All of them at once for a while; what each got, and Jain's index of that over the weights.
Result<void> measure_shares(const std::string& part, const std::vector<Share>& shares,
                            const Options& options, json& rows) {
  show_progress(part);
  std::vector<std::unique_ptr<Client>> clients;
  for (const auto& share : shares) {
    clients.push_back(std::make_unique<Client>(share.socket, share.model, 1, share.calls));
  }
  for (const auto& client : clients) POCKET_RETURN_IF_ERROR(wait_until_served(*client, 5));
  std::vector<double> before;
  for (const auto& client : clients) before.push_back(client->processor_ms());
  ::usleep(static_cast<useconds_t>(options.seconds * 1e6));
  double sum = 0;
  double squares = 0;
  std::vector<double> used;
  for (size_t index = 0; index < clients.size(); ++index) {
    used.push_back(clients[index]->processor_ms() - before[index]);
    const double share = used.back() / shares[index].weight;
    sum += share;
    squares += share * share;
  }
  const double jain = sum * sum / (static_cast<double>(clients.size()) * squares);
  for (size_t index = 0; index < clients.size(); ++index) {
    rows.push_back({{"part", part},
                    {"client", index + 1},
                    {"model", shares[index].model},
                    {"in_flight", shares[index].calls},
                    {"weight", shares[index].weight},
                    {"processor_ms", used[index]},
                    {"jain_index", jain}});
  }
  return ok_result();
}

void print_rows(const json& rows) {
  std::string part;
  for (const auto& row : rows) {
    if (row["part"] == "victim") {
      fmt::print("beside {:30} p50 {:7.2f}  p95 {:7.2f}  p99 {:7.2f} ms  {:5.2f} x alone\n",
                 row["beside"].get<std::string>(), row["p50_ms"].get<double>(),
                 row["p95_ms"].get<double>(), row["p99_ms"].get<double>(),
                 row["p99_ratio"].get<double>());
      continue;
    }
    if (row["part"] != part) {
      part = row["part"].get<std::string>();
      fmt::print("{}: Jain's index over processor time and weight {:.4f}\n", part,
                 row["jain_index"].get<double>());
    }
    fmt::print("  client {} of {:5} weight {:g}, {:2} in flight: {:8.1f} ms\n",
               row["client"].get<int>(), row["model"].get<std::string>(),
               row["weight"].get<double>(), row["in_flight"].get<int>(),
               row["processor_ms"].get<double>());
  }
}

std::string busy_model(int busy_us) {
  return fmt::format(
      "mode = 'none'\nbusy_us = {}\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [{}]\n"
      "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [1000]\n",
      busy_us, kFloats);
}

/// Three tenants of weights 1, 2 and 4, each with a socket of its own.
std::string configuration(const std::string& socket, double cpus) {
  std::string text = fmt::format(
      "[engines]\nconcurrency = 2\nthreads = 2\n[budget]\ncpu_policy = 'none'\nmem_policy = "
      "'none'\ncpus = {:.3f}\n",
      cpus);
  for (const int weight : {1, 2, 4}) {
    text += fmt::format(
        "[[socket]]\npath = '{}.{}'\ntenant = 'weight{}'\n[tenant.weight{}]\nweight = {}\n", socket,
        weight, weight, weight, 100 * weight);
  }
  return text;
}

Result<void> measure(const Options& options, json& rows) {
  POCKET_ASSIGN_OR_RETURN(auto service, LocalService::create());
  // In one runner, as models of one group are.
  for (const auto& [name, times] : std::map<std::string, int>{{"short", 1}, {"long", 5}}) {
    POCKET_RETURN_IF_ERROR(service->add_null_model(name, busy_model(options.call_us * times)));
    POCKET_RETURN_IF_ERROR(service->add_manifest(name, "group = 'bench'\n"));
  }
  POCKET_ASSIGN_OR_RETURN(const auto config,
                          service->write_config(configuration(service->socket(), options.cpus)));
  POCKET_RETURN_IF_ERROR(service->start({"--config", config}));
  const std::string socket = service->socket();
  POCKET_RETURN_IF_ERROR(measure_victim(socket, options, rows));
  POCKET_RETURN_IF_ERROR(measure_shares("equal clients",
                                        {{socket, "short", 1, 1},
                                         {socket, "short", 16, 1},
                                         {socket, "long", 4, 1},
                                         {socket, "long", 16, 1}},
                                        options, rows));
  return measure_shares("weights 1, 2 and 4",
                        {{socket + ".1", "short", 8, 1},
                         {socket + ".2", "long", 8, 2},
                         {socket + ".4", "short", 8, 4}},
                        options, rows);
}

Result<int> run(const Options& options) {
  json report = make_report("fairness", {{"calls", options.calls},
                                         {"rounds", options.rounds},
                                         {"call_us", options.call_us},
                                         {"bytes_in", kFloats * 4},
                                         {"flood_in_flight", kFloodChannels * kFloodCalls},
                                         {"cpus", options.cpus},
                                         {"seconds", options.seconds}});
  const auto measured = [&]() -> Result<void> {
    try {
      return measure(options, report["rows"]);
    } catch (const StatusError& error) {
      return Error{static_cast<pocket_status>(error.status()), error.what()};
    }
  }();
  end_progress();
  POCKET_RETURN_IF_ERROR(measured);
  if (options.json != "-") print_rows(report["rows"]);
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, report));
  return 0;
}

}  // namespace

void add_bench_fairness(CLI::App& bench, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = bench.add_subcommand(
      "fairness", "A light client beside a flood; how equals and weights share the processor");
  add_json_option(*command, options->json);
  command->add_option("--calls", options->calls, "Calls of the light client in each round")
      ->check(CLI::Range(10, 1'000'000));
  command->add_option("--rounds", options->rounds, "Rounds")->check(CLI::Range(1, 1000));
  command->add_option("--call-us", options->call_us, "Microseconds of processor time of a call")
      ->check(CLI::Range(100, 1'000'000));
  command->add_option("--seconds", options->seconds, "How long clients share the processor")
      ->check(CLI::Range(0.1, 3600.0));
  command
      ->add_option("--cpus", options->cpus,
                   "Processors of the runner's control group; 0: it has none, so that short calls "
                   "cannot hurry")
      ->check(CLI::Range(0.0, 1024.0));
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
