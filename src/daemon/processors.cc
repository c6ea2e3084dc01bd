#include "daemon/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace pocket::daemon {
namespace {

/// The quota in processors that one group sets itself; 0: none.
double group_quota(const std::string& folder) {
  double quota = 0;
  double period = 0;
  if (std::ifstream v2(folder + "/cpu.max"); v2) {
    std::string text;
    if (v2 >> text >> period && text != "max") quota = std::stod(text);
  } else if (std::ifstream v1(folder + "/cpu.cfs_quota_us"); v1) {
    v1 >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

/// The smallest quota from a group up to the root of its tree; 0: none.
double smallest_quota(const std::string& root, std::string group) {
  double smallest = 0;
  while (true) {
    const double quota = group_quota(root + group);
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
    if (group.size() <= 1) return smallest;
    group.resize(group.find_last_of('/'));
  }
}

double cgroup_quota() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  double smallest = 0;
  while (std::getline(file, line)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    double quota = 0;
    if (controllers == ",,") quota = smallest_quota("/sys/fs/cgroup", group);
    if (controllers.find(",cpu,") != std::string::npos) {
      quota = smallest_quota("/sys/fs/cgroup/cpu", group);
    }
    if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
  }
  return smallest;
}

}  // namespace

uint32_t usable_processors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int count = ::sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const double quota = cgroup_quota();
  if (quota > 0) count = std::min(count, static_cast<int>(std::ceil(quota)));
  return static_cast<uint32_t>(std::max(count, 1));
}

}  // namespace pocket::daemon
