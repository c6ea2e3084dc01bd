// What `pocket run` tells at the end of a run, for --rusage, --measure-latency and --perf.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/run/options.h"

namespace pocket::cli {

struct Report {
  std::string name;
  int exit_status = 0;
  Usage usage;
  std::optional<double> exec_ms;  // from the start of `pocket run` until the program ran
  double exit_ms = 0;             // until it had ended
  nlohmann::json perf;            // null: not counted
};

/// Text goes to standard error, JSON to the file of --rusage: an object for one run, a list for
/// several.
Result<void> tell(const RunOptions& options, const std::vector<Report>& reports);

}  // namespace pocket::cli
