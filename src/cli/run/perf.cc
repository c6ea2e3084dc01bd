#include "cli/run/perf.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pocket::cli {
namespace {

struct Event {
  const char* name;
  uint32_t type;
  uint64_t config;
};

constexpr Event kEvents[] = {
    {"task_clock_ns", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"page_faults_minor", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {"page_faults_major", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    {"context_switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu_migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
};

std::string reason(int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case EOPNOTSUPP:
      return "not supported by this machine";
    case EACCES:
    case EPERM:
      return "not permitted (lower /proc/sys/kernel/perf_event_paranoid, or run as root)";
    default:
      return std::strerror(error);
  }
}

}  // namespace

PerfCounters::PerfCounters(pid_t process) {
  for (const auto& event : kEvents) {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = event.type;
    attributes.config = event.config;
    attributes.disabled = 1;
    attributes.enable_on_exec = 1;
    attributes.inherit = 1;
    // The kernel's own part is counted too: leaving it out would make context switches 0.
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    const long file =
        ::syscall(SYS_perf_event_open, &attributes, process, -1, -1, PERF_FLAG_FD_CLOEXEC);
    const int error = errno;
    counters_.push_back(
        {event.name, UniqueFd(static_cast<int>(file)), file < 0 ? reason(error) : ""});
  }
}

nlohmann::json PerfCounters::read() const {
  nlohmann::json result = nlohmann::json::object();
  nlohmann::json not_counted = nlohmann::json::object();
  for (const auto& counter : counters_) {
    struct {
      uint64_t value = 0, enabled_ns = 0, running_ns = 0;
    } reading;
    if (!counter.file.valid()) {
      not_counted[counter.name] = counter.why_not;
    } else if (::read(counter.file.get(), &reading, sizeof(reading)) != sizeof(reading)) {
      not_counted[counter.name] = reason(errno);
    } else if (reading.running_ns < reading.enabled_ns) {
      not_counted[counter.name] = "only counted part of the time: too few counters";
    } else {
      result[counter.name] = reading.value;
    }
  }
  if (!not_counted.empty()) result["not_counted"] = std::move(not_counted);
  return result;
}

std::string perf_text(const nlohmann::json& counters) {
  std::string text;
  for (const auto& [name, value] : counters.items()) {
    if (value.is_number()) text += fmt::format("{:18} {}\n", name, value.get<uint64_t>());
  }
  if (counters.contains("not_counted")) {
    for (const auto& [name, why] : counters["not_counted"].items()) {
      text += fmt::format("{:18} {}\n", name, why.get<std::string>());
    }
  }
  return text;
}

}  // namespace pocket::cli
