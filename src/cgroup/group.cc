#include "cgroup/group.h"

namespace pocket::cgroup {
namespace {

using Use = GroupFile::Use;

/// The four names of one file: cpu on v1 and v2, memory on v1 and v2. "" where there is none.
struct Names {
  const char* cpu_v1;
  const char* cpu_v2;
  const char* memory_v1;
  const char* memory_v2;

  const char* of(const GroupPlace& place) const {
    if (place.controller == Controller::kCpu) return place.v2 ? cpu_v2 : cpu_v1;
    return place.v2 ? memory_v2 : memory_v1;
  }
};

constexpr Names kLimit{"cpu.cfs_quota_us", "cpu.max", "memory.limit_in_bytes", "memory.max"};
constexpr Names kUsage{"cpuacct.usage", "", "memory.usage_in_bytes", "memory.current"};
constexpr Names kStat{"cpu.stat", "cpu.stat", "memory.stat", "memory.stat"};
constexpr Names kPeak{"", "", "memory.max_usage_in_bytes", "memory.peak"};

}  // namespace

Group::Group(Folder folder, const GroupPlace& place)
    : folder_(std::move(folder)),
      place_(place),
      // Files that the kernel shows in the root only (v1) and everywhere but in the root (v2).
      root_(place.v2 ? !folder_.has_file("cgroup.events") : folder_.has_file("release_agent")),
      limit_(kLimit.of(place), Use::kChange),
      period_("cpu.cfs_period_us", Use::kChange),
      and_swap_("memory.memsw.limit_in_bytes", Use::kChange),
      usage_(kUsage.of(place), Use::kRead),
      stat_(kStat.of(place), Use::kRead),
      weight_(place.v2 ? "cpu.weight" : "cpu.shares", Use::kChange),
      peak_(kPeak.of(place), Use::kRead),
      reclaim_("memory.reclaim", Use::kCommand),
      freeze_(place.v2 ? "cgroup.freeze" : "freezer.state", Use::kRead),
      events_("cgroup.events", Use::kRead) {}

Result<Group> Group::open(const GroupPlace& place) {
  POCKET_ASSIGN_OR_RETURN(Folder folder, Folder::open(place.path, place.controller, place.v2));
  if (!folder.alive()) {
    return Error{POCKET_INVALID_ARGUMENT,
                 "'" + place.path + "' is no group: it has no cgroup.procs"};
  }
  return Group(std::move(folder), place);
}

Result<void> Group::need(Controller controller, const char* call) const {
  if (controller == folder_.controller) return ok_result();
  return Error{POCKET_FAILED_PRECONDITION, std::string(call) + " needs a " +
                                               controller_name(controller) + " group, not " +
                                               folder_.title()};
}

Result<void> Group::need_not_root(const char* what) const {
  if (!root_) return ok_result();
  return Error{POCKET_FAILED_PRECONDITION,
               std::string("setting the ") + what + " of " + folder_.title() +
                   ": it is the root group, which has no limit; start the process in a group of "
                   "its own (a container, systemd-run, pocket run)"};
}

Result<bool> Group::frozen() {
  char buffer[256];
  if (folder_.v2) {
    if (root_) return false;
    POCKET_ASSIGN_OR_RETURN(const std::string_view events, events_.read(folder_, buffer));
    if (stat_value(events, "frozen") != 0) return true;  // a parent's freezing shows here too
    POCKET_ASSIGN_OR_RETURN(const bool known, freeze_.exists(folder_));
    if (!known) return false;
    POCKET_ASSIGN_OR_RETURN(const int64_t wanted, freeze_.read_number(folder_));
    return wanted != 0;
  }
  if (!folder_.alive()) return group_error(folder_, "reading", "freezer.state", ENOENT);
  if (place_.freezer.empty()) return false;
  if (!freezer_) {
    auto folder = Folder::open(place_.freezer, folder_.controller, false);
    if (!folder.ok()) {
      if (folder.error().code == POCKET_NOT_FOUND) return false;
      return std::move(folder).error();
    }
    freezer_ = std::move(folder).value();
  }
  POCKET_ASSIGN_OR_RETURN(const bool known, freeze_.exists(*freezer_));
  if (!known) return false;  // the root of the freezer tree
  POCKET_ASSIGN_OR_RETURN(const std::string_view state, freeze_.read(*freezer_, buffer));
  return state != "THAWED";
}

std::string limit_text(int64_t value, bool v2) {
  if (value >= 0) return std::to_string(value);
  return v2 ? "max" : "-1";
}

}  // namespace pocket::cgroup
