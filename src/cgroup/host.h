// Which cgroup trees this machine offers to this process, and the way into them.
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "cgroup/controller.h"
#include "cgroup/group.h"
#include "cgroup/mounts.h"
#include "cgroup/owned_group.h"

namespace pocket::cgroup {

inline constexpr std::array<Controller, 2> kBoth{Controller::kCpu, Controller::kMemory};

/// Constant after detect, so any thread; cheap to copy.
class Host {
 public:
  /// Reads `proc_root`/self/mountinfo and looks at the trees it names. Never fails: where no
  /// controller can be used the layout is kNone and why_not says why. Limits that may only be read
  /// can still be read there.
  static Host detect(const std::string& proc_root = "/proc");

  Layout layout() const { return layout_; }
  /// One line for people: "hybrid: cpu on v1 at /sys/fs/cgroup/cpu, memory on ...".
  std::string describe() const;
  /// Why limits of this controller cannot be changed here: not mounted, read-only, no permission,
  /// controller missing. "" when they can.
  std::string why_not(Controller controller) const;
  /// Where the controller's tree is mounted; "" when it is not.
  std::string mount_point(Controller controller) const;
  bool is_v2(Controller controller) const;

  /// The group of a process: an absolute path at or below the controller's mount point, with
  /// cgroup namespaces and partly mounted trees (Docker's) taken into account. With pidfd >= 0 the
  /// process is checked after the read to be still alive, so that a reused pid cannot pass for it.
  /// UNAVAILABLE: gone or reused. NOT_FOUND: its group was removed. PERMISSION_DENIED: its group
  /// lies outside what this process sees. FAILED_PRECONDITION: the controller is not mounted.
  Result<std::string> group_of(Controller controller, pid_t pid, int pidfd = -1) const;

  /// A group by its absolute path, as from group_of. INVALID_ARGUMENT: not below the controller's
  /// mount point. NOT_FOUND: no such group. FAILED_PRECONDITION: the controller is not mounted.
  Result<Group> open(Controller controller, const std::string& path) const;

  /// Makes a group below the mount points, in every tree that the wanted controllers need. Missing
  /// parents are made too; `name` may contain '/'. On v2 the controllers are switched on in the
  /// parents' cgroup.subtree_control.
  /// ALREADY_EXISTS: the group is there already. INVALID_ARGUMENT: bad name. PERMISSION_DENIED.
  /// FAILED_PRECONDITION: the controller cannot be had, or a v2 parent has processes of its own.
  Result<OwnedGroup> create(const std::string& name,
                            std::span<const Controller> controllers = kBoth) const;
  /// Takes over a group that an earlier process made with the same arguments. NOT_FOUND: it is not
  /// (or not in every tree) there.
  Result<OwnedGroup> adopt(const std::string& name,
                           std::span<const Controller> controllers = kBoth) const;
  /// Removes a group that an earlier process left behind, from every tree; one that is not there
  /// counts as removed. BUSY: it still has processes or groups in it.
  Result<void> remove_stale(const std::string& name) const;

  /// Whether the freezer has stopped the process (docker pause), from its own freezer group on v1.
  Result<bool> frozen(pid_t pid, int pidfd = -1) const;

  /// The short name of the container or service behind a path from group_of, for listings.
  std::string label(Controller controller, const std::string& path) const;

 private:
  struct Place {
    std::optional<Mount> mount;
    std::string why_not;
  };

  const Place& place(Controller controller) const {
    return places_[static_cast<size_t>(controller)];
  }
  Place find(Controller controller) const;
  Result<Mount> mounted(Controller controller) const;
  Result<std::string> visible(const Mount& mount, const std::string& group, pid_t pid) const;
  GroupPlace group_place(Controller controller, const Mount& mount, const std::string& path) const;
  Result<std::vector<GroupTree>> trees(const std::string& name,
                                       std::span<const Controller> controllers) const;
  Result<OwnedGroup> owned(std::string name, std::vector<GroupTree> trees,
                           std::span<const Controller> controllers) const;

  std::string proc_root_;
  Layout layout_ = Layout::kNone;
  std::array<Place, 2> places_;
  std::optional<Mount> accounting_;  // the v1 tree of cpuacct, often cpu's own
  std::optional<Mount> freezer_;     // the v1 tree
  std::optional<Mount> unified_;     // the v2 tree
};

}  // namespace pocket::cgroup
