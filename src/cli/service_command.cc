// pocket service kill | upgrade | status
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "cli/local_service.h"
#include "cli/service_run.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

Result<int> kill_service(const ServiceOptions& options, int timeout_s) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.socket));
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, status.pid, 0)));
  POCKET_RETURN_IF_ERROR(stop_service(*session));
  pollfd entry{process.get(), POLLIN, 0};
  if (process.valid() && ::poll(&entry, 1, timeout_s * 1000) != 1) {
    return Error{POCKET_DEADLINE_EXCEEDED,
                 fmt::format("process {} still drains after {} s", status.pid, timeout_s)};
  }
  return 0;
}

/// Waits until another pocketd answers than process `before`; its status.
Result<wire::control::StatusT> next_status(const ServiceOptions& options, pid_t before,
                                           int timeout_s) {
  const uint64_t end = deadline_after(static_cast<uint64_t>(timeout_s) * kNanosecondsPerSecond);
  while (monotonic_ns() < end) {
    auto session = connect(options.socket);
    auto status =
        session.ok() ? get_status(**session) : Result<wire::control::StatusT>(session.error());
    if (status.ok() && status->pid != before) return status;
    ::usleep(20'000);
  }
  return Error{
      POCKET_DEADLINE_EXCEEDED,
      fmt::format("no new pocketd answered within {} s: see the service's log", timeout_s)};
}

Result<int> upgrade(const ServiceOptions& options, int timeout_s) {
  // Before the old one ends: a program that does not even start would leave nobody.
  const std::string check = "'" + find_pocketd() + "' --version >/dev/null 2>&1";
  if (std::system(check.c_str()) != 0) {
    return Error{POCKET_FAILED_PRECONDITION,
                 fmt::format("'{}' does not start: install it properly first; the service runs on",
                             find_pocketd())};
  }
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.socket));
  POCKET_ASSIGN_OR_RETURN(const auto before, get_status(*session));
  POCKET_RETURN_IF_ERROR(upgrade_service(*session));
  POCKET_ASSIGN_OR_RETURN(const auto after, next_status(options, before.pid, timeout_s));
  fmt::print("pocketd {} (process {}) took over from {} (process {}): {} clients, {} runners\n",
             after.service_version, after.pid, before.service_version, before.pid,
             after.sessions.size() - 1, after.runners.size());
  return 0;
}

json status_json(const wire::control::StatusT& status) {
  json sessions = json::array();
  for (const auto& session : status.sessions) {
    sessions.push_back({{"session", session->session},
                        {"pid", session->pid},
                        {"uid", session->uid},
                        {"name", session->name},
                        {"channels", session->channels},
                        {"region_bytes", session->region_bytes},
                        {"tenant", session->tenant},
                        {"group", session->group}});
  }
  json tenants = json::array();
  for (const auto& tenant : status.tenants) {
    tenants.push_back({{"name", tenant->name},
                       {"sessions", tenant->sessions},
                       {"max_sessions", tenant->max_sessions},
                       {"channels", tenant->channels},
                       {"max_channels", tenant->max_channels},
                       {"region_bytes", tenant->region_bytes},
                       {"max_region_bytes", tenant->max_region_bytes},
                       {"max_in_flight", tenant->max_in_flight},
                       {"calls_per_second", tenant->calls_per_second},
                       {"cpu_share", tenant->cpu_share},
                       {"weight", tenant->weight},
                       {"priority", tenant->priority},
                       {"total_refusals", tenant->refusals}});
  }
  json runners = json::array();
  for (const auto& runner : status.runners) {
    runners.push_back({{"pid", runner->pid},
                       {"engine", runner->engine},
                       {"models", runner->models},
                       {"restarts", runner->restarts},
                       {"memory_bytes", runner->memory_bytes}});
  }
  return {{"version", status.service_version},
          {"pid", status.pid},
          {"uptime_seconds", status.uptime_seconds},
          {"socket", status.socket},
          {"models", status.models_dir},
          {"ready", status.ready},
          {"sessions", sessions},
          {"runners", runners},
          {"tenants", tenants},
          {"notes", status.notes}};
}

Result<int> show_status(const ServiceOptions& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.socket));
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
  if (!options.json.empty()) {
    POCKET_RETURN_IF_ERROR(write_json(options.json, status_json(status)));
    return 0;
  }
  fmt::print("pocketd {} (process {}), {} for {:.0f} s\n", status.service_version, status.pid,
             status.ready ? "ready" : "not ready", status.uptime_seconds);
  // Empty for who is no administrator.
  if (!status.socket.empty()) fmt::print("socket  {}\n", status.socket);
  if (!status.models_dir.empty()) fmt::print("models  {}\n", status.models_dir);
  for (const auto& runner : status.runners) {
    fmt::print("runner  {} {} {:.1f} MB: {}\n", runner->pid, runner->engine,
               static_cast<double>(runner->memory_bytes) / 1e6, fmt::join(runner->models, ", "));
  }
  for (const auto& client : status.sessions) {
    fmt::print(
        "client  {} (process {}, user {}, tenant {}): {} open models, {:.1f} MB of regions\n",
        client->name, client->pid, client->uid, client->tenant, client->channels,
        static_cast<double>(client->region_bytes) / 1e6);
  }
  const bool configured = status.tenants.size() > 1;
  for (const auto& tenant : status.tenants) {
    if (!configured && tenant->name == "default") continue;
    fmt::print("tenant  {}: {} clients, {} open models, {:.1f} MB of regions, {} refusals\n",
               tenant->name, tenant->sessions, tenant->channels,
               static_cast<double>(tenant->region_bytes) / 1e6, tenant->refusals);
  }
  for (const auto& note : status.notes) fmt::print("note    {}\n", note);
  return 0;
}

}  // namespace

void add_service_command(CLI::App& app, Action& action) {
  auto* service = app.add_subcommand("service", "Run, end and look at the service");
  service->require_subcommand(1);
  add_service_run_command(*service, action);

  auto kill_options = std::make_shared<ServiceOptions>();
  auto timeout = std::make_shared<int>(30);
  auto* kill = service->add_subcommand("kill", "End the service after the calls in flight");
  kill->add_option("--socket", kill_options->socket, "Socket of the service")->type_name("PATH");
  kill->add_option("--timeout", *timeout, "Seconds to wait for its end")
      ->check(CLI::Range(1, 3600));
  kill->callback([&action, kill_options, timeout] {
    action = [kill_options, timeout] { return kill_service(*kill_options, *timeout); };
  });

  auto upgrade_options = std::make_shared<ServiceOptions>();
  auto upgrade_timeout = std::make_shared<int>(60);
  auto* upgrade_command = service->add_subcommand(
      "upgrade", "Replace a running pocketd by the one installed now; no client notices");
  upgrade_command->add_option("--socket", upgrade_options->socket, "Socket of the service")
      ->type_name("PATH");
  upgrade_command->add_option("--timeout", *upgrade_timeout, "Seconds to wait for the new one")
      ->check(CLI::Range(1, 3600));
  upgrade_command->callback([&action, upgrade_options, upgrade_timeout] {
    action = [upgrade_options, upgrade_timeout] {
      return upgrade(*upgrade_options, *upgrade_timeout);
    };
  });

  auto status_options = std::make_shared<ServiceOptions>();
  auto* status = service->add_subcommand("status", "Show clients, runners and models");
  add_service_options(*status, *status_options);
  status->callback([&action, status_options] {
    action = [status_options] { return show_status(*status_options); };
  });
}

}  // namespace pocket::cli
