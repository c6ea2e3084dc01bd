// What is known about one run, as it lies in the registry: one small JSON file for each.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/run/identity.h"
#include "cli/run/usage.h"

namespace pocket::cli {

/// What was asked for; 0 and empty: no limit.
struct Limits {
  uint64_t memory_bytes = 0;
  double cpus = 0;
  std::string cpu_list;
  bool oom_kill_disable = false;

  /// True where a group is needed to keep them (a CPU list needs none).
  bool need_group() const { return memory_bytes != 0 || cpus != 0 || oom_kill_disable; }
};

enum class RunState {
  kStarting,  // its name is taken, its program does not run yet
  kRunning,
  kExited,   // its exit status is recorded
  kLost,     // its supervisor was killed: nobody knows its exit status
  kUnknown,  // belongs to another pid namespace, or its container engine does not answer
};
const char* word(RunState state);

struct Record {
  std::string name;
  std::string engine;     // "docker" or "podman"; empty: a plain process
  std::string container;  // its id
  ProcessIdentity process;
  ProcessIdentity supervisor;  // pid 0: nobody (a detached container)
  std::string boot;
  uint64_t pid_namespace = 0;
  std::string group;  // name of the run's own group; empty: it has none
  Limits limits;
  std::string socket;
  std::vector<std::string> command;
  int64_t started_ms = 0;  // since 1970
  int64_t ended_ms = 0;
  bool detached = false;
  bool lost = false;
  std::optional<int> exit_status;  // 128 + signal where a signal ended it
  std::optional<Usage> usage;      // at the end

  /// True for two records of one run; a later run of the same name is another.
  bool same_run(const Record& other) const {
    return name == other.name && started_ms == other.started_ms && supervisor == other.supervisor;
  }
};

/// Of a plain process; for a container without a supervisor only what is recorded.
RunState state_of(const Record& record);

nlohmann::json to_json(const Record& record);
Result<Record> record_from_json(const std::string& text);

/// The limits as a reader likes them: "0.5 cpus, 128.0 MiB, processors 0-1"; "-" for none.
std::string limits_text(const Limits& limits);

/// Milliseconds since 1970.
int64_t wall_clock_ms();
/// The pid namespace this program is in.
uint64_t own_pid_namespace();

}  // namespace pocket::cli
