// pocket wait, ps and rusage.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/run/amounts.h"
#include "cli/run/commands.h"
#include "cli/run/loans.h"
#include "cli/run/runs.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> names;
  std::string json;
  bool all = false;
  bool prune = false;
  bool keep = false;
};

Result<int> wait(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto registry, Registry::open());
  json rows = json::array();
  int first = 0;
  for (const auto& name : options.names) {
    POCKET_ASSIGN_OR_RETURN(const int status, wait_for_run(registry, name, options.keep));
    rows.push_back({{"name", name}, {"exit_status", status}});
    if (first == 0) first = status;
  }
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, rows));
  return first;
}

json to_json(const SeenRun& seen, LoanView& loans) {
  const auto& record = seen.record;
  const json stored = to_json(record);
  json row = {{"name", record.name},         {"state", word(seen.state)},
              {"limits", stored["limits"]},  {"command", record.command},
              {"detached", record.detached}, {"started_ms", record.started_ms},
              {"usage", to_json(seen.usage)}};
  for (const char* key : {"engine", "container", "socket", "ended_ms", "group"}) {
    if (stored.contains(key)) row[key] = stored[key];
  }
  add_to(row["usage"], loans.of(seen));
  if (record.process.pid != 0) row["pid"] = record.process.pid;
  if (record.exit_status) row["exit_status"] = *record.exit_status;
  return row;
}

std::string since(int64_t started_ms) {
  const auto seconds = std::max<int64_t>(0, (wall_clock_ms() - started_ms) / 1000);
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

void print_table(const std::vector<SeenRun>& runs, LoanView& loans) {
  const auto memory = [](const std::optional<uint64_t>& bytes) {
    return bytes ? fmt::format("{:.1f}", static_cast<double>(*bytes) / 0x1p20) : "-";
  };
  constexpr const char* kRow = "{:20} {:>12} {:10} {:>10} {:>17} {:>20} {:>8} {:32} {:24} {}\n";
  fmt::print(kRow, "NAME", "PROCESS", "STATE", "CPU s", "MEMORY/PEAK MiB", "LENT", "SINCE",
             "LIMITS", "SOCKET", "COMMAND");
  for (const auto& seen : runs) {
    const auto& record = seen.record;
    const std::string process = record.container.empty() ? std::to_string(record.process.pid)
                                                         : record.container.substr(0, 12);
    const std::string state = record.exit_status
                                  ? fmt::format("{} {}", word(seen.state), *record.exit_status)
                                  : word(seen.state);
    const std::string cpu =
        seen.usage.cpu_total_ns
            ? fmt::format("{:.3f}", static_cast<double>(*seen.usage.cpu_total_ns) / 1e9)
            : "-";
    fmt::print(kRow, record.name, process, state, cpu,
               memory(seen.usage.memory_bytes) + "/" + memory(seen.usage.memory_peak_bytes),
               lent_text(loans.of(seen)), since(record.started_ms), limits_text(record.limits),
               record.socket.empty() ? "-" : record.socket, fmt::join(record.command, " "));
  }
}

Result<int> list(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto registry, Registry::open());
  std::vector<SeenRun> runs;
  for (const auto& record : registry.load_all()) {
    auto seen = look_at(registry, record);
    if (!seen) continue;
    const bool over = seen->state == RunState::kExited || seen->state == RunState::kLost;
    if (over && options.prune) {
      POCKET_RETURN_IF_ERROR(forget(registry, seen->record));
      if (options.json.empty()) fmt::print("forgot {}\n", seen->record.name);
      continue;
    }
    if (options.all || seen->state != RunState::kExited) runs.push_back(*std::move(seen));
  }
  LoanView loans;
  if (!options.json.empty()) {
    json rows = json::array();
    for (const auto& seen : runs) rows.push_back(to_json(seen, loans));
    POCKET_RETURN_IF_ERROR(write_json(options.json, rows));
  } else if (!options.prune) {
    print_table(runs, loans);
  }
  return 0;
}

Result<int> rusage(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto registry, Registry::open());
  POCKET_ASSIGN_OR_RETURN(const auto record, registry.load(options.names[0]));
  const auto looked = look_at(registry, record);
  if (!looked) {
    return Error{POCKET_NOT_FOUND, fmt::format("'{}' has just ended", record.name)};
  }
  const auto& seen = *looked;
  if (seen.usage.source.empty()) {
    return Error{
        POCKET_UNAVAILABLE,
        fmt::format("what '{}' used is not known: it is {}{}", record.name, word(seen.state),
                    record.engine.empty()
                        ? ""
                        : ", and the engine removes a container's group at its end; read "
                          "it while it runs")};
  }
  const auto loans = LoanView().of(seen);
  if (!options.json.empty()) {
    json object = to_json(seen.usage);
    add_to(object, loans);
    object["name"] = record.name;
    object["state"] = word(seen.state);
    POCKET_RETURN_IF_ERROR(write_json(options.json, object));
    return 0;
  }
  fmt::print("{:16} {}\n{}{}", "state", word(seen.state), usage_text(seen.usage),
             loans_text(loans));
  return 0;
}

}  // namespace

void add_wait_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("wait", "Wait for runs to end; returns their exit status");
  command->add_option("name", options->names, "Names of runs")->required()->type_name("NAME ...");
  command->add_flag("--keep", options->keep, "Do not forget them afterwards");
  add_json_option(*command, options->json);
  command->callback([&action, options] { action = [options] { return wait(*options); }; });
}

void add_ps_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("ps", "List the runs that run, and the lost ones");
  command->add_flag("-a,--all", options->all, "Also those that have ended");
  command->add_flag("--prune", options->prune, "Forget those that have ended or are lost");
  add_json_option(*command, options->json);
  command->callback([&action, options] { action = [options] { return list(*options); }; });
}

void add_rusage_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("rusage", "Show what a run has used");
  command->add_option("name", options->names, "Name of the run")
      ->required()
      ->expected(1)
      ->type_name("NAME");
  add_json_option(*command, options->json);
  command->callback([&action, options] { action = [options] { return rusage(*options); }; });
}

void add_run_commands(CLI::App& app, Action& action) {
  add_run_command(app, action);
  add_wait_command(app, action);
  add_ps_command(app, action);
  add_rusage_command(app, action);
}

}  // namespace pocket::cli
