#include "cli/run/record.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>

#include "cli/run/amounts.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

json to_json(const ProcessIdentity& process) {
  return {{"pid", process.pid}, {"start_ticks", process.start_ticks}};
}

ProcessIdentity identity_from(const json& all, const char* key) {
  const auto found = all.find(key);
  if (found == all.end()) return {};
  return {found->value("pid", 0), found->value("start_ticks", uint64_t{0})};
}

}  // namespace

const char* word(RunState state) {
  switch (state) {
    case RunState::kStarting:
      return "starting";
    case RunState::kRunning:
      return "running";
    case RunState::kExited:
      return "exited";
    case RunState::kLost:
      return "lost";
    case RunState::kUnknown:
      break;
  }
  return "unknown";
}

RunState state_of(const Record& record) {
  if (record.exit_status) return RunState::kExited;
  if (record.lost || record.boot != boot_id()) return RunState::kLost;
  if (record.pid_namespace != own_pid_namespace()) return RunState::kUnknown;
  if (record.supervisor.pid != 0 && !is_running(record.supervisor)) {
    return RunState::kLost;
  }
  const bool started = record.process.pid != 0 || !record.container.empty();
  return started ? RunState::kRunning : RunState::kStarting;
}

json to_json(const Record& record) {
  json object = {{"name", record.name},
                 {"process", to_json(record.process)},
                 {"supervisor", to_json(record.supervisor)},
                 {"boot", record.boot},
                 {"pid_namespace", record.pid_namespace},
                 {"limits",
                  {{"memory_bytes", record.limits.memory_bytes},
                   {"cpus", record.limits.cpus},
                   {"cpu_list", record.limits.cpu_list},
                   {"oom_kill_disable", record.limits.oom_kill_disable}}},
                 {"command", record.command},
                 {"started_ms", record.started_ms},
                 {"detached", record.detached},
                 {"lost", record.lost}};
  if (!record.engine.empty()) object["engine"] = record.engine;
  if (!record.container.empty()) object["container"] = record.container;
  if (!record.group.empty()) object["group"] = record.group;
  if (!record.socket.empty()) object["socket"] = record.socket;
  if (record.ended_ms != 0) object["ended_ms"] = record.ended_ms;
  if (record.exit_status) object["exit_status"] = *record.exit_status;
  if (record.usage) object["usage"] = to_json(*record.usage);
  return object;
}

Result<Record> record_from_json(const std::string& text) {
  const Error bad{POCKET_DATA_LOSS, "this is not the record of a run"};
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return bad;
  try {  // the only throwing calls: a field of another type
    Record record;
    record.name = object.at("name").get<std::string>();
    record.engine = object.value("engine", "");
    record.container = object.value("container", "");
    record.process = identity_from(object, "process");
    record.supervisor = identity_from(object, "supervisor");
    record.boot = object.value("boot", "");
    record.pid_namespace = object.value("pid_namespace", uint64_t{0});
    record.group = object.value("group", "");
    const json limits = object.value("limits", json::object());
    record.limits.memory_bytes = limits.value("memory_bytes", uint64_t{0});
    record.limits.cpus = limits.value("cpus", 0.0);
    record.limits.cpu_list = limits.value("cpu_list", "");
    record.limits.oom_kill_disable = limits.value("oom_kill_disable", false);
    record.socket = object.value("socket", "");
    record.command = object.value("command", std::vector<std::string>{});
    record.started_ms = object.value("started_ms", int64_t{0});
    record.ended_ms = object.value("ended_ms", int64_t{0});
    record.detached = object.value("detached", false);
    record.lost = object.value("lost", false);
    if (object.contains("exit_status")) record.exit_status = object.at("exit_status").get<int>();
    if (object.contains("usage")) record.usage = usage_from_json(object.at("usage"));
    return record;
  } catch (const json::exception&) {
    return bad;
  }
}

std::string limits_text(const Limits& limits) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (limits.cpus != 0) add(fmt::format("{} cpus", limits.cpus));
  if (limits.memory_bytes != 0) add(memory_text(limits.memory_bytes));
  if (!limits.cpu_list.empty()) add("processors " + limits.cpu_list);
  if (limits.oom_kill_disable) add("no oom kill");
  return text.empty() ? "-" : text;
}

int64_t wall_clock_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

uint64_t own_pid_namespace() {
  struct stat file {};
  return ::stat("/proc/self/ns/pid", &file) == 0 ? file.st_ino : 0;
}

}  // namespace pocket::cli
