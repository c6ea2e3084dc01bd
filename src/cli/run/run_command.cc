// pocket run: a client program with limits, in a group of its own or in a container.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/run/commands.h"
#include "cli/run/container.h"
#include "cli/run/detach.h"
#include "cli/run/options.h"
#include "cli/run/runs.h"
#include "cli/run/supervisor.h"

namespace pocket::cli {
namespace {

/// What a run is called when nobody says: its program, with the letters that a name may have.
std::string program_name(const RunOptions& options) {
  std::string name =
      std::filesystem::path(options.image.empty() ? options.command[0] : options.image)
          .filename()
          .string()
          .substr(0, 48);
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '.' && c != '_' && c != '-') c = '_';
  }
  const bool good = !name.empty() && name[0] != '.' && name[0] != '_' && name[0] != '-';
  return good ? name : "run" + name;
}

Record record_of(const RunOptions& options, const std::string& engine, bool supervised) {
  Record record;
  record.engine = engine;
  if (supervised) record.supervisor = identity_of(::getpid());
  record.boot = boot_id();
  record.pid_namespace = own_pid_namespace();
  record.limits = options.limits;
  record.socket = options.socket.empty() ? options.share_socket : options.socket;
  record.command = options.command;
  record.started_ms = wall_clock_ms();
  record.detached = options.detach;
  return record;
}

std::string names_of(const std::vector<Record>& records) {
  std::vector<std::string> names;
  for (const auto& record : records) names.push_back(record.name);
  return fmt::format("{}\n", fmt::join(names, "\n"));
}

/// Docker or Podman keeps it; nobody of ours does.
Result<int> run_detached_containers(Registry& registry, const RunOptions& options,
                                    const std::string& engine) {
  auto base = record_of(options, engine, true);  // while the engine starts them
  POCKET_ASSIGN_OR_RETURN(auto records,
                          registry.claim(base, options.name, program_name(options), options.count));
  const auto start = [&](Record& record) -> Result<void> {
    POCKET_ASSIGN_OR_RETURN(const auto command, container_command(engine, options, record.name));
    POCKET_ASSIGN_OR_RETURN(record.container, start_detached(command));
    Record started = record;
    started.supervisor = {};
    auto saved = registry.save(started);
    if (!saved.ok()) return std::move(saved).error();
    record = started;
    return ok_result();
  };
  for (auto& record : records) {
    auto started = start(record);
    if (started.ok()) continue;
    for (const auto& other : records) {
      if (!other.container.empty()) (void)remove_container(engine, other.container);
      registry.remove(other);
    }
    return std::move(started).error();
  }
  fmt::print("{}", names_of(records));
  return 0;
}

Result<int> run_in_background(Registry& registry, const RunOptions& options, uint64_t started_ns) {
  const auto work = [&](Background& background, int output) {
    auto records = registry.claim(record_of(options, "", true), options.name, program_name(options),
                                  options.count);
    if (!records.ok()) return background.report(records.error());
    const std::string names = names_of(*records);
    std::optional<Supervisor> supervisor(std::in_place, registry, options,
                                         std::move(records).value(), started_ns);
    if (auto started = supervisor->start(output); !started.ok()) {
      supervisor.reset();  // whoever reads the report finds nothing left
      return background.report(started.error());
    }
    background.report(names);
    if (const auto status = supervisor->wait(); !status.ok()) {
      fmt::print(stderr, "pocket: {}\n", status.error().message);
    }
  };
  POCKET_ASSIGN_OR_RETURN(const auto names, in_background(options.log, work));
  fmt::print("{}", names);
  return 0;
}

Result<int> run(RunOptions& options, uint64_t started_ns) {
  POCKET_RETURN_IF_ERROR(check_together(options));
  POCKET_ASSIGN_OR_RETURN(auto registry, Registry::open());
  clear_lost(registry);
  std::string engine;
  if (!options.image.empty()) {
    POCKET_ASSIGN_OR_RETURN(engine, choose_engine(options.engine));
    if (options.detach) return run_detached_containers(registry, options, engine);
  }
  if (options.detach) return run_in_background(registry, options, started_ns);
  POCKET_ASSIGN_OR_RETURN(auto records,
                          registry.claim(record_of(options, engine, true), options.name,
                                         program_name(options), options.count));
  Supervisor supervisor(registry, options, std::move(records), started_ns);
  POCKET_RETURN_IF_ERROR(supervisor.start(std::nullopt));
  return supervisor.wait();
}

}  // namespace

void add_run_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  auto* command = app.add_subcommand("run", "Run a program with limits, alone or in a container");
  add_run_options(*command, *options);
  command->callback(
      [&action, options] { action = [options] { return run(*options, monotonic_ns()); }; });
}

}  // namespace pocket::cli
