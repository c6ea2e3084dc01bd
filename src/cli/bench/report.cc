#include "cli/bench/report.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "pocket/pocket.h"

namespace pocket::cli {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

/// "v2", "v1", "hybrid" (v1 controllers with a v2 tree beside them) or "none".
std::string cgroup_kind() {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists("/sys/fs/cgroup/cgroup.controllers", error)) return "v2";
  if (!fs::exists("/sys/fs/cgroup/cpu", error)) return "none";
  return fs::exists("/sys/fs/cgroup/unified/cgroup.controllers", error) ? "hybrid" : "v1";
}

}  // namespace

nlohmann::json make_report(const std::string& benchmark, nlohmann::json config) {
  utsname system{};
  ::uname(&system);
  return {{"benchmark", benchmark},
          {"version", pocket_version()},
          {"host",
           {{"cpus", std::thread::hardware_concurrency()},
            {"cpu_model", processor_name()},
            {"kernel", system.release},
            {"cgroup", cgroup_kind()}}},
          {"config", std::move(config)},
          {"rows", nlohmann::json::array()}};
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
  const size_t index = rank == 0 ? 0 : rank - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index),
                   values.end());
  return values[index];
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void show_progress(const std::string& text) {
  if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K{}", text);
}

void end_progress() {
  if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
}

}  // namespace pocket::cli
