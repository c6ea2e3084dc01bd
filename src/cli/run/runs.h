// What `pocket wait`, `ps` and `rusage` see of the runs: the registry, completed by what the
// kernel and the container engines say now.
#pragma once

#include <optional>

#include "base/result.h"
#include "cli/run/registry.h"

namespace pocket::cli {

struct SeenRun {
  Record record;
  RunState state = RunState::kUnknown;
  Usage usage;  // so far, or at the end
};

/// A run as it is now. One whose supervisor was killed is cleared up first: what is left of it is
/// killed, its group removed, and the registry says that it is lost. Nothing: it has ended and was
/// forgotten since `record` was read.
std::optional<SeenRun> look_at(Registry& registry, const Record& record);

/// Clears up after every run whose supervisor was killed.
void clear_lost(Registry& registry);

/// Forgets the run, and removes its container where it has one.
Result<void> forget(Registry& registry, const Record& record);

/// Returns once the run is over; its exit status. UNAVAILABLE: it is lost. Others may wait as well.
/// Unless `keep`, the last of them forgets the run.
Result<int> wait_for_run(Registry& registry, const std::string& name, bool keep);

}  // namespace pocket::cli
