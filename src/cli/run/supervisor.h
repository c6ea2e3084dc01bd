// Starts the programs of one `pocket run`, watches them to their end and clears up after them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/run/child.h"
#include "cli/run/group.h"
#include "cli/run/options.h"
#include "cli/run/perf.h"
#include "cli/run/registry.h"
#include "cli/run/report.h"

namespace pocket::cli {

/// One thread, and the only one of its process while it lives. The destructor kills what still
/// runs, removes the groups, and forgets the runs that have not ended.
class Supervisor {
 public:
  /// `records` are the claimed ones. `started_ns` is when `pocket run` began.
  Supervisor(Registry& registry, const RunOptions& options, std::vector<Record> records,
             uint64_t started_ns);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Starts all of them, or none. Blocks the signals that wait() passes on. `output`: where theirs
  /// goes instead of being inherited.
  Result<void> start(std::optional<int> output);
  /// Until all have ended; INT, TERM, HUP, QUIT, USR1 and USR2 are passed on meanwhile. Returns the
  /// exit status of the first, by number, whose status is not 0.
  Result<int> wait();

 private:
  struct Run {
    explicit Run(Record claimed) : record(std::move(claimed)) {}
    Record record;
    std::optional<RunGroup> group;
    std::optional<Child> child;
    std::optional<PerfCounters> perf;
    UniqueFd file;  // the registry's
    Report report;
    bool ended = false;
    // Of a container whose usage is wanted: its first process, once that is known; its group too.
    UniqueFd container_process;
  };

  Result<void> start(Run& run, std::optional<int> output);
  Result<void> make_group(Run& run);
  Program program_of(const Run& run, std::optional<int> output) const;
  void pass_on_signals();
  void collect_ended();
  void finish(Run& run, int wait_status, const rusage& used);
  bool look_for_container(Run& run);
  double since_start_ms(uint64_t moment_ns) const;

  Registry& registry_;
  const RunOptions& options_;
  std::vector<std::unique_ptr<Run>> runs_;
  uint64_t started_ns_;
  UniqueFd signals_;
};

}  // namespace pocket::cli
