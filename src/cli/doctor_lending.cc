// pocket doctor: what lending needs (docs/lending.md, docs/cgroups.md).
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>

#include "base/ledger_place.h"
#include "cgroup/effective.h"
#include "cli/doctor.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;
using cgroup::Controller;

/// kB of a line of /proc/meminfo.
uint64_t meminfo_kb(const std::string& meminfo, const std::string& wanted) {
  std::istringstream lines(meminfo);
  std::string key, unit;
  for (uint64_t value = 0; lines >> key >> value; std::getline(lines, unit)) {
    if (key == wanted) return value;
  }
  return 0;
}

/// Of a process, e.g. "half a processor and 128 MB"; empty: nothing of it is limited.
std::string limits_of(const cgroup::Host& host, pid_t process) {
  std::vector<std::string> limits;
  for (const Controller controller : cgroup::kBoth) {
    const auto group = host.group_of(controller, process);
    if (!group.ok()) continue;
    const auto limit = cgroup::effective_limit(host, controller, *group);
    if (!limit.ok() || !limit->limited()) continue;
    if (controller == Controller::kMemory) {
      limits.push_back(fmt::format("{:.1f} MB", static_cast<double>(limit->memory) / 1e6));
    } else {
      limits.push_back(fmt::format("{:.2f} cpus", static_cast<double>(limit->cpu.quota_us) /
                                                      static_cast<double>(limit->cpu.period_us)));
    }
  }
  return fmt::format("{}", fmt::join(limits, ", "));
}

bool v2_accounts_swap(const std::string& mount_point) {
  std::error_code error;
  for (const auto& group : fs::directory_iterator(mount_point, error)) {
    if (group.is_directory(error)) return fs::exists(group.path() / "memory.swap.max", error);
  }
  return true;  // no group to see it in
}

}  // namespace

Check check_cgroups(const cgroup::Host& host) {
  const bool both =
      host.why_not(Controller::kCpu).empty() && host.why_not(Controller::kMemory).empty();
  return {"cgroups", both ? Verdict::kOk : Verdict::kWarning, host.describe()};
}

Check check_accounting(const cgroup::Host& host, const std::vector<cgroup::Mount>& mounts) {
  constexpr const char* kName = "cpu use";
  if (host.mount_point(Controller::kCpu).empty()) {
    return {kName, Verdict::kWarning, "not counted: there is no cpu controller"};
  }
  if (host.is_v2(Controller::kCpu)) return {kName, Verdict::kOk, "counted by cpu.stat of v2"};
  const auto counts = std::ranges::find_if(
      mounts, [](const cgroup::Mount& mount) { return !mount.v2 && mount.has("cpuacct"); });
  if (counts == mounts.end()) {
    return {kName, Verdict::kWarning,
            "not counted: cpuacct is not mounted, so the policy 'idle' lends nothing"};
  }
  const bool together = counts->has("cpu");
  return {kName, Verdict::kOk,
          fmt::format("counted by cpuacct at {}, {}", counts->point,
                      together ? "cpu's own tree" : "a tree beside cpu's")};
}

Check check_lending(const cgroup::Host& host, pid_t client) {
  std::vector<std::string> can, cannot;
  for (const Controller controller : cgroup::kBoth) {
    const std::string why = host.why_not(controller);
    if (why.empty()) {
      can.emplace_back(cgroup::controller_name(controller));
    } else {
      cannot.push_back(why);
    }
  }
  std::string text =
      fmt::format("a service of user {} can lend {}", ::geteuid(),
                  can.empty() ? "nothing" : fmt::format("{}", fmt::join(can, " and ")));
  for (const auto& why : cannot) text += "; " + why;
  const std::string limits = limits_of(host, client);
  text += limits.empty() ? "; a client started here has no limit, so it lends nothing (pocket run "
                           "--cpus --memory give it one)"
                         : "; a client started here lends from its limit of " + limits;
  return {"lending", cannot.empty() ? Verdict::kOk : Verdict::kWarning, text};
}

Check check_swap(const cgroup::Host& host, const std::string& meminfo) {
  constexpr const char* kName = "swap";
  const uint64_t kb = meminfo_kb(meminfo, "SwapTotal:");
  const std::string tree = host.mount_point(Controller::kMemory);
  if (tree.empty()) return {kName, Verdict::kOk, "not limited: there is no memory controller"};
  std::error_code error;
  const bool v2 = host.is_v2(Controller::kMemory);
  const bool accounted = v2 ? v2_accounts_swap(tree)
                            : fs::exists(fs::path(tree) / "memory.memsw.limit_in_bytes", error);
  const std::string how =
      !accounted ? "not accounted"
      : v2       ? "accounted (memory.swap.max, which lending leaves alone)"
                 : "accounted (memory.memsw, a finite limit moves along with memory's)";
  if (kb == 0) return {kName, Verdict::kOk, "none on this machine; " + how};
  const auto text = fmt::format("{:.1f} MB, {}", static_cast<double>(kb) / 1e3, how);
  if (accounted) return {kName, Verdict::kOk, text};
  return {kName, Verdict::kWarning,
          text +
              ": a client that lends memory may swap instead of keeping what it needs; boot with "
              "swapaccount=1, or without swap"};
}

Check check_ledger(const std::string& socket) {
  fs::path folder = fs::path(default_ledger(fs::absolute(socket).string())).parent_path();
  std::error_code error;
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) != 0) {
    return {"ledger", Verdict::kWarning,
            errno_error(fmt::format("looking at '{}'", folder.string()), errno).message};
  }
  const bool tmpfs = system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC;
  return {"ledger", tmpfs ? Verdict::kOk : Verdict::kWarning,
          fmt::format("in '{}' unless budget.ledger says otherwise, {}", folder.string(),
                      tmpfs ? "on tmpfs"
                            : "not on tmpfs: loans cost writes to a disk, and a ledger of before a "
                              "reboot is read; set budget.ledger to a file below /run")};
}

Check check_budgets(const std::vector<std::string>& notes) {
  if (notes.empty()) return {"budgets", Verdict::kOk, "runners have their own, clients can lend"};
  return {"budgets", Verdict::kWarning, fmt::format("{}", fmt::join(notes, "; "))};
}

}  // namespace pocket::cli
