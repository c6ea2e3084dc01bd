// What a run has used so far or in all. A figure that nobody measured is absent, never 0.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace pocket::cli {

struct Usage {
  /// "group": everything in the run's group; "process": the program and the children it waited for.
  std::string source;
  std::optional<uint64_t> cpu_total_ns, cpu_user_ns, cpu_system_ns;
  std::optional<uint64_t> memory_bytes;  // now
  std::optional<uint64_t> memory_peak_bytes;
  std::optional<uint64_t> page_faults_minor, page_faults_major;
  std::optional<uint64_t> periods, throttled_periods;  // of the CPU limit
  std::optional<uint64_t> throttled_ns;
};

/// From wait4().
Usage usage_of(const rusage& used);
/// Of a process that runs, from /proc; without its children. Empty where it has ended.
Usage usage_of_process(pid_t pid);
/// `better`'s figures, and `other`'s where it has none.
Usage merged(Usage better, const Usage& other);

nlohmann::json to_json(const Usage& usage);
Usage usage_from_json(const nlohmann::json& json);
/// Lines of "name  value" for a reader; ends in a line break.
std::string usage_text(const Usage& usage);

}  // namespace pocket::cli
