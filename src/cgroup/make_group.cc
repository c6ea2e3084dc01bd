// Making and removing the folders of groups, and the trees a new group needs.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "cgroup/host.h"

namespace pocket::cgroup {
namespace {

constexpr timespec kPause{0, 1'000'000};  // between two tries; nothing announces an empty v1 group

bool lists(const std::string& text, const std::string& word) {
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    if (std::find(words.begin(), words.end(), word) != words.end()) return true;
  }
  return false;
}

Error enabling(const std::string& name, const std::string& folder, const std::string& why) {
  return Error{POCKET_FAILED_PRECONDITION,
               "switching on " + name + " in '" + folder + "/cgroup.subtree_control': " + why};
}

/// Lets the groups below `folder` use a controller. Writes only where it is not on already, so
/// that a delegated part of the tree works without rights above it.
Result<void> enable_below(const std::string& folder, Controller controller) {
  const std::string name = controller_name(controller);
  POCKET_ASSIGN_OR_RETURN(const std::string on, read_text(folder + "/cgroup.subtree_control"));
  if (lists(on, name)) return ok_result();
  POCKET_ASSIGN_OR_RETURN(const std::string offered, read_text(folder + "/cgroup.controllers"));
  if (!lists(offered, name)) {
    return enabling(name, folder, "the controller is not available in this group");
  }
  // The root may have processes beside child groups; no other group with controllers may.
  const bool root = ::access((folder + "/cgroup.events").c_str(), F_OK) != 0;
  if (!root) {
    POCKET_ASSIGN_OR_RETURN(const std::string processes, read_text(folder + "/cgroup.procs"));
    if (!processes.empty()) {
      return enabling(name, folder,
                      "the group has processes of its own, and v2 allows only one of the two: move "
                      "them into a child group, or make the new group elsewhere");
    }
  }
  const std::string command = "+" + name;
  UniqueFd file(::open((folder + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid() &&
      ::write(file.get(), command.data(), command.size()) == static_cast<ssize_t>(command.size())) {
    return ok_result();
  }
  return errno_error("writing '" + command + "' to '" + folder + "/cgroup.subtree_control'", errno);
}

}  // namespace

Result<void> make_group(const GroupTree& tree, std::vector<std::string>& made) {
  std::string folder = tree.top;
  for (const std::string& name : split(tree.path.substr(tree.top.size()), '/')) {
    if (tree.v2) {
      for (const Controller controller : tree.controllers) {
        POCKET_RETURN_IF_ERROR(enable_below(folder, controller));
      }
    }
    folder += "/" + name;
    if (::mkdir(folder.c_str(), 0755) == 0) {
      made.push_back(folder);
      continue;
    }
    const bool last = folder == tree.path;
    if (errno == EEXIST && !last) continue;
    Error error = errno_error("making group '" + folder + "'", errno);
    if (error.code == POCKET_ALREADY_EXISTS) {
      error.message += "; is another service using it? If none is, remove the stale group";
    } else if (error.code == POCKET_PERMISSION_DENIED) {
      error.message += "; run pocketd as root with a writable cgroup tree, or delegate a group";
    }
    return error;
  }
  return ok_result();
}

Result<void> remove_group(const std::string& path, uint64_t timeout_ns) {
  const uint64_t deadline = deadline_after(timeout_ns);
  while (::rmdir(path.c_str()) != 0) {
    const int failed = errno;
    if (failed == ENOENT) return ok_result();
    const bool occupied = failed == EBUSY || failed == ENOTEMPTY;
    if (occupied && monotonic_ns() < deadline) {
      ::nanosleep(&kPause, nullptr);
      continue;
    }
    Error error = errno_error("removing group '" + path + "'", failed);
    if (occupied) {
      error.code = POCKET_BUSY;
      error.message += "; it still has processes or groups in it: end or move them first";
    }
    return error;
  }
  return ok_result();
}

Result<std::vector<GroupTree>> Host::trees(const std::string& name,
                                           std::span<const Controller> controllers) const {
  const std::vector<std::string> names = split(name, '/');
  std::string joined;
  bool good = !names.empty() && name.find('\n') == std::string::npos;
  for (const std::string& piece : names) {
    joined += (joined.empty() ? "" : "/") + piece;
    good = good && piece != "." && piece != "..";
  }
  if (!good || joined != name) {
    return Error{POCKET_INVALID_ARGUMENT, "'" + name +
                                              "' is no name for a group: give names "
                                              "joined by '/', such as pocket/runner-1"};
  }
  std::vector<GroupTree> trees;
  const auto add = [&](const Mount& mount) -> GroupTree& {
    for (GroupTree& tree : trees) {
      if (tree.top == mount.point) return tree;
    }
    return trees.emplace_back(GroupTree{mount.point, mount.point + "/" + name, mount.v2, {}});
  };
  for (const Controller controller : controllers) {
    const std::string why = why_not(controller);
    if (!why.empty()) return Error{POCKET_FAILED_PRECONDITION, "group '" + name + "': " + why};
    POCKET_ASSIGN_OR_RETURN(const Mount mount, mounted(controller));
    add(mount).controllers.push_back(controller);
    // The time used is accounted by a controller of its own on v1, which may have its own tree.
    if (controller == Controller::kCpu && !mount.v2 && accounting_) add(*accounting_);
  }
  if (trees.empty()) {
    return Error{POCKET_INVALID_ARGUMENT, "group '" + name + "': no controller was asked for"};
  }
  return trees;
}

Result<OwnedGroup> Host::create(const std::string& name,
                                std::span<const Controller> controllers) const {
  POCKET_ASSIGN_OR_RETURN(auto trees, this->trees(name, controllers));
  std::vector<std::string> made;
  for (const GroupTree& tree : trees) {
    if (auto done = make_group(tree, made); !done.ok()) {
      for (auto folder = made.rbegin(); folder != made.rend(); ++folder) ::rmdir(folder->c_str());
      return std::move(done).error();
    }
  }
  POCKET_ASSIGN_OR_RETURN(auto group, owned(name, std::move(trees), controllers));
  group.made_ = std::move(made);
  return group;
}

Result<OwnedGroup> Host::adopt(const std::string& name,
                               std::span<const Controller> controllers) const {
  POCKET_ASSIGN_OR_RETURN(auto trees, this->trees(name, controllers));
  for (const GroupTree& tree : trees) {
    if (::access((tree.path + "/cgroup.procs").c_str(), F_OK) != 0) {
      return errno_error("taking over group '" + tree.path + "'", errno);
    }
  }
  return owned(name, std::move(trees), controllers);
}

Result<OwnedGroup> Host::owned(std::string name, std::vector<GroupTree> trees,
                               std::span<const Controller> controllers) const {
  const bool one_v2_tree = trees.size() == 1 && trees[0].v2;
  OwnedGroup group(std::move(name), std::move(trees), {});
  for (const Controller controller : controllers) {
    const std::string path = mount_point(controller) + "/" + group.name_;
    POCKET_ASSIGN_OR_RETURN(Group opened, open(controller, path));
    (controller == Controller::kCpu ? group.cpu_ : group.memory_) = std::move(opened);
  }
  if (one_v2_tree) {
    const std::string& path = group.trees_[0].path;
    group.clone_fd_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!group.clone_fd_.valid()) return errno_error("opening group '" + path + "'", errno);
  }
  return group;
}

Result<void> Host::remove_stale(const std::string& name) const {
  Result<void> first;
  for (const Controller controller : kBoth) {
    if (!why_not(controller).empty()) continue;
    POCKET_ASSIGN_OR_RETURN(const auto trees, this->trees(name, std::span(&controller, 1)));
    // The controller's own tree last, and only when the others are done: as long as anything is
    // left of the group, whoever looks there finds it.
    for (auto tree = trees.rbegin(); tree != trees.rend(); ++tree) {
      auto done = remove_group(tree->path, 0);
      if (done.ok()) continue;
      if (first.ok()) first = std::move(done);
      break;
    }
  }
  return first;
}

}  // namespace pocket::cgroup
