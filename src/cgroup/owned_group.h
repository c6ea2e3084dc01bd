// A group that Pocket made, and removes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cgroup/controller.h"
#include "cgroup/group.h"

namespace pocket::cgroup {

/// One tree in which a group is made.
struct GroupTree {
  std::string top;   ///< where the tree is mounted
  std::string path;  ///< the group's folder in it
  bool v2 = false;
  std::vector<Controller> controllers;  ///< what the group wants from this tree
};

/// Makes the group's folder in one tree, with its missing parents; on v2 switches the controllers
/// on in every parent. The folders made are appended to `made`, the topmost first, also on failure.
/// Errors as Host::create.
Result<void> make_group(const GroupTree& tree, std::vector<std::string>& made);

/// Removes one empty group, trying again while the kernel says EBUSY, up to `timeout_ns`: a process
/// that was killed leaves its group a moment later. One that is not there counts as removed.
/// BUSY: it has processes, or groups below it.
Result<void> remove_group(const std::string& path, uint64_t timeout_ns);

/// A group in one or more trees. Move-only; one thread at a time. The destructor kills nothing: it
/// removes the group if it is empty or becomes so within 200 ms (it may block as long), and those
/// of its parents that were made with it and are empty. Empty the group first; make a parent that
/// several groups share as a group of its own, which outlives them.
class OwnedGroup {
 public:
  OwnedGroup(std::string name, std::vector<GroupTree> trees, std::vector<std::string> made);
  OwnedGroup(OwnedGroup&&) noexcept = default;
  OwnedGroup& operator=(OwnedGroup&& other) noexcept;
  ~OwnedGroup();

  const std::string& name() const { return name_; }  ///< as given to Host::create
  bool has(Controller controller) const;
  /// Only for a controller that was asked for.
  Group& cpu() { return *cpu_; }
  Group& memory() { return *memory_; }

  /// Moves a process, with all its threads, into every tree of the group. NOT_FOUND: no such
  /// process, or the group was removed. INVALID_ARGUMENT: pid <= 0. PERMISSION_DENIED.
  /// FAILED_PRECONDITION: v2, and the group has groups below it.
  Result<void> add(pid_t pid);
  /// A descriptor for clone3's CLONE_INTO_CGROUP, owned by this object; -1 unless the whole group
  /// lies in the v2 tree.
  int clone_fd() const { return clone_fd_.get(); }
  /// Every process in the group, in any of its trees; those in groups below it are not listed.
  Result<std::vector<pid_t>> processes() const;
  /// SIGKILL to every process, until none is left. FAILED_PRECONDITION: the caller is in the group.
  /// DEADLINE_EXCEEDED: some were still there after `timeout_ns`. On v2 groups below are killed
  /// too.
  Result<void> kill_all(uint64_t timeout_ns = kNanosecondsPerSecond);

  /// What the destructor does, with an error: BUSY while it is not empty; it may be tried again.
  Result<void> remove(uint64_t timeout_ns);
  /// The group stays when this object goes; Host::adopt takes it over again.
  void release() { trees_.clear(); }

 private:
  friend class Host;
  void kill_once();

  std::string name_;
  std::vector<GroupTree> trees_;   // empty once removed or released
  std::vector<std::string> made_;  // folders that were not there before, topmost first
  std::optional<Group> cpu_;
  std::optional<Group> memory_;
  UniqueFd clone_fd_;
};

}  // namespace pocket::cgroup
