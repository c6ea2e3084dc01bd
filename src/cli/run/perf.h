// The kernel's counters of one process and its children.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace pocket::cli {

/// Counts from the process's next exec on. What this machine or this user cannot count is named as
/// such; no counter is ever estimated.
class PerfCounters {
 public:
  explicit PerfCounters(pid_t process);

  /// {"page_faults": 12, ..., "not_counted": {"cycles": "not supported here"}}.
  nlohmann::json read() const;

 private:
  struct Counter {
    const char* name;
    UniqueFd file;
    std::string why_not;
  };
  std::vector<Counter> counters_;
};

/// Lines for a reader.
std::string perf_text(const nlohmann::json& counters);

}  // namespace pocket::cli
