#include "cli/bench/latency_cells.h"

#include <fmt/format.h>
#include <signal.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "cli/admin.h"
#include "cli/bench/report.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

int processors() { return static_cast<int>(std::thread::hardware_concurrency()); }

/// What the service's runner used and borrowed between two moments.
class ServiceMeter {
 public:
  static Result<ServiceMeter> start(const cgroup::Host& host, const std::string& socket) {
    ServiceMeter meter;
    POCKET_ASSIGN_OR_RETURN(meter.session_, connect(socket));
    POCKET_ASSIGN_OR_RETURN(meter.before_, get_leases(*meter.session_, false));
    for (const auto& runner : meter.before_.runners) {
      if (runner->cpu_group.empty()) continue;
      POCKET_ASSIGN_OR_RETURN(auto group, host.open(cgroup::Controller::kCpu, runner->cpu_group));
      POCKET_ASSIGN_OR_RETURN(auto counted, GroupMeter::start(std::move(group)));
      meter.groups_.push_back(std::move(counted));
    }
    return meter;
  }

  Result<void> add_to(Gathered& gathered) {
    for (auto& group : groups_) {
      POCKET_ASSIGN_OR_RETURN(const GroupUse use, group.read());
      gathered.service_use += use;
    }
    POCKET_ASSIGN_OR_RETURN(const auto after, get_leases(*session_, false));
    const auto borrowed = [](const wire::control::LeasesT& leases, bool cpu) {
      double sum = 0;
      for (const auto& runner : leases.runners) {
        sum += cpu ? runner->total_borrowed_cpu_seconds : runner->total_borrowed_byte_seconds;
      }
      return sum;
    };
    gathered.borrowed_cpu_seconds += borrowed(after, true) - borrowed(before_, true);
    gathered.borrowed_byte_seconds += borrowed(after, false) - borrowed(before_, false);
    gathered.lend_us_p50 = after.lend_us_p50;
    gathered.return_us_p50 = after.return_us_p50;
    return ok_result();
  }

 private:
  std::shared_ptr<client::Session> session_;
  wire::control::LeasesT before_;
  std::vector<GroupMeter> groups_;
};

}  // namespace

Result<std::unique_ptr<LatencyBench>> LatencyBench::create(LatencySetting setting) {
  ::signal(SIGPIPE, SIG_IGN);
  if (setting.models.empty()) {
    setting.models =
        (std::filesystem::path(program_folder()) / "../../.deps/models").lexically_normal();
  }
  std::unique_ptr<LatencyBench> bench(new LatencyBench(std::move(setting)));
  if (bench->setting_.budget.kind != "none") {
    for (const auto controller : cgroup::kBoth) {
      const std::string why = bench->host_.why_not(controller);
      if (!why.empty()) return Error{POCKET_FAILED_PRECONDITION, "budgets need cgroups: " + why};
    }
  }
  return bench;
}

Result<void> LatencyBench::ensure_service(const Cell& cell, const Budget& budget) {
  const std::string wanted = fmt::format("{} {} {}", budget.limited() ? cell.app : "",
                                         budget.service.cpus, budget.service.memory_bytes);
  if (service_ != nullptr && service_of_ == wanted) return ok_result();
  service_.reset();
  POCKET_ASSIGN_OR_RETURN(service_, LocalService::create(setting_.models));
  std::vector<std::string> arguments;
  if (budget.limited()) {
    POCKET_ASSIGN_OR_RETURN(
        const std::string file,
        service_->write_config(fmt::format("[budget]\ncpus = {}\nmemory = {}\n",
                                           budget.service.cpus, budget.service.memory_bytes)));
    arguments = {"--config", file};
  }
  POCKET_RETURN_IF_ERROR(service_->start(arguments));
  service_of_ = wanted;
  // The service loads the model: not measured.
  Gathered first;
  Cell load = cell;
  load.mode = "pocket";
  load.load = "cold";
  load.clients = 1;
  return run_cold(load, Budget{}, first);
}

Result<ClientSet::Client> LatencyBench::client(const Cell& cell, const Budget& budget, int number,
                                               int round) {
  const bool pocket = cell.mode == "pocket";
  ClientSet::Client client;
  client.arguments = {program_folder() + "/" + cell.app + (pocket ? "" : "-monolithic")};
  const auto add = [&client](std::initializer_list<std::string> more) {
    client.arguments.insert(client.arguments.end(), more);
  };
  if (pocket) {
    add({"--socket", service_->socket()});
    client.environment = {"POCKET_CPU_POLICY=" + cell.cpu_policy,
                          "POCKET_MEM_POLICY=" + cell.mem_policy};
  } else {
    add({"--models", setting_.models});
    // As many threads as the budget keeps busy: more would only be throttled.
    if (budget.limited()) {
      add({"--threads", fmt::format("{}", std::ceil(budget.monolithic.cpus - 1e-9))});
    }
  }
  add({"--engine", setting_.engine, "--json", "-"});
  if (cell.load == "cold") return client;
  add({"--gate", "--warm-up", "3", "--seconds", fmt::format("{}", setting_.seconds)});
  if (cell.mode == "engine") add({"--parallel", std::to_string(processors())});
  if (cell.load == "burst") {
    POCKET_ASSIGN_OR_RETURN(const double cpu_ms, cpu_ms_per_call(cell.app));
    const double cpus = budget.limited() ? budget.monolithic.cpus
                                         : static_cast<double>(processors()) / cell.clients;
    // The same moments on both sides and with every policy.
    add({"--rate", fmt::format("{:.6f}", cell.utilisation * cpus * 1e3 / cpu_ms), "--seed",
         std::to_string(setting_.seed + static_cast<uint64_t>(number + 1000 * round))});
  }
  return client;
}

Result<double> LatencyBench::cpu_ms_per_call(const std::string& app) {
  if (const auto known = cpu_ms_.find(app); known != cpu_ms_.end()) return known->second;
  POCKET_ASSIGN_OR_RETURN(
      auto process, AppProcess::start({program_folder() + "/" + app + "-monolithic", "--models",
                                       setting_.models, "--engine", setting_.engine, "--threads",
                                       "1", "--warm-up", "3", "--calls", "30", "--json", "-"}));
  POCKET_ASSIGN_OR_RETURN(const json report, process.finish());
  const double cpu_ms = report["timing"]["calls_cpu_ms"].get<double>() / 30;
  cpu_ms_[app] = cpu_ms;
  return cpu_ms;
}

Result<void> LatencyBench::run(const Cell& cell, int round, Results& results) {
  POCKET_ASSIGN_OR_RETURN(const Budget budget,
                          make_budget(setting_.budget, cell.app, cell.clients));
  if (cell.mode == "pocket") POCKET_RETURN_IF_ERROR(ensure_service(cell, budget));
  Gathered& gathered = results[cell];
  return cell.load == "cold" ? run_cold(cell, budget, gathered)
                             : run_calls(cell, budget, round, gathered);
}

Result<void> LatencyBench::run_calls(const Cell& cell, const Budget& budget, int round,
                                     Gathered& gathered) {
  const bool pocket = cell.mode == "pocket";
  std::vector<ClientSet::Client> clients;
  for (int number = 0; number < cell.clients; ++number) {
    POCKET_ASSIGN_OR_RETURN(auto entry, client(cell, budget, number, round));
    clients.push_back(std::move(entry));
  }
  POCKET_ASSIGN_OR_RETURN(
      auto set, ClientSet::start(host_, pocket ? budget.client : budget.monolithic, clients));
  POCKET_RETURN_IF_ERROR(set->get_ready());
  std::optional<ServiceMeter> meter;
  if (pocket && budget.limited()) {
    POCKET_ASSIGN_OR_RETURN(meter, ServiceMeter::start(host_, service_->socket()));
  }
  const uint64_t start_ns = monotonic_ns();
  set->release();
  POCKET_ASSIGN_OR_RETURN(const auto reports, set->finish());
  gathered.seconds += static_cast<double>(monotonic_ns() - start_ns) / 1e9;
  POCKET_ASSIGN_OR_RETURN(const GroupUse use, set->use());
  gathered.clients_use += use;
  if (meter) POCKET_RETURN_IF_ERROR(meter->add_to(gathered));
  std::vector<double> round_ms;
  double per_second = 0;
  for (const json& report : reports) {
    const auto times = report["timing"]["calls_ms"].get<std::vector<double>>();
    per_second +=
        static_cast<double>(times.size()) * 1e3 / report["timing"]["calls_took_ms"].get<double>();
    round_ms.insert(round_ms.end(), times.begin(), times.end());
  }
  gathered.round_p50_ms.push_back(quantile(round_ms, 0.5));
  gathered.round_p95_ms.push_back(quantile(round_ms, 0.95));
  gathered.round_per_second.push_back(per_second);
  gathered.times_ms.insert(gathered.times_ms.end(), round_ms.begin(), round_ms.end());
  return ok_result();
}

/// From exec to the first answer, all started at the same moment.
Result<void> LatencyBench::run_cold(const Cell& cell, const Budget& budget, Gathered& gathered) {
  std::vector<ClientSet::Client> clients;
  for (int number = 0; number < cell.clients; ++number) {
    POCKET_ASSIGN_OR_RETURN(auto entry, client(cell, budget, number, 0));
    clients.push_back(std::move(entry));
  }
  POCKET_ASSIGN_OR_RETURN(
      auto set,
      ClientSet::start(host_, cell.mode == "pocket" ? budget.client : budget.monolithic, clients));
  POCKET_ASSIGN_OR_RETURN(const auto reports, set->finish());
  for (size_t index = 0; index < reports.size(); ++index) {
    const auto answered_ns = reports[index]["timing"]["first_answer_monotonic_ns"].get<uint64_t>();
    gathered.times_ms.push_back(
        static_cast<double>(answered_ns - set->processes()[index].started_ns()) / 1e6);
  }
  return ok_result();
}

}  // namespace pocket::cli
