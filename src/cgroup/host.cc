#include "cgroup/host.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "cgroup/label.h"
#include "cgroup/process.h"

namespace pocket::cgroup {
namespace {

std::optional<Mount> v1_tree(const std::vector<Mount>& mounts, const std::string& controller) {
  for (const Mount& mount : mounts) {
    if (!mount.v2 && mount.has(controller)) return mount;
  }
  return std::nullopt;
}

/// "" when the groups of this tree may be changed, at its top or (delegated) at our own group.
std::string refusal(const Mount& mount, const std::string& own_group) {
  if (mount.read_only) {
    return "its tree at " + mount.point + " is mounted read-only: mount it writable for pocketd";
  }
  if (::faccessat(AT_FDCWD, mount.point.c_str(), W_OK, AT_EACCESS) == 0) return "";
  const int failed = errno;
  auto own = path_below(mount, own_group);
  if (own && ::faccessat(AT_FDCWD, own->c_str(), W_OK, AT_EACCESS) == 0) return "";
  return "its tree at " + mount.point + " cannot be changed (" +
         std::generic_category().message(failed) +
         "): run pocketd as root, or delegate a group to its user";
}

}  // namespace

Host Host::detect(const std::string& proc_root) {
  Host host;
  host.proc_root_ = proc_root;
  auto text = read_text(proc_root + "/self/mountinfo");
  if (!text.ok()) {
    for (Place& place : host.places_) place.why_not = "mounts unknown: " + text.error().message;
    return host;
  }
  const std::vector<Mount> mounts = parse_mounts(*text);
  const auto v2 = std::find_if(mounts.begin(), mounts.end(), [](const Mount& m) { return m.v2; });
  if (v2 != mounts.end()) host.unified_ = *v2;
  host.accounting_ = v1_tree(mounts, "cpuacct");
  host.freezer_ = v1_tree(mounts, "freezer");
  for (const Controller controller : kBoth) {
    Place& place = host.places_[static_cast<size_t>(controller)];
    place.mount = v1_tree(mounts, controller_name(controller));
    place = host.find(controller);
  }
  const bool any_v1 = std::any_of(mounts.begin(), mounts.end(), [](const Mount& m) {
    return !m.v2 && (m.has("cpu") || m.has("memory"));
  });
  const bool usable = host.places_[0].why_not.empty() || host.places_[1].why_not.empty();
  if (usable) {
    host.layout_ = !any_v1 ? Layout::kV2 : (host.unified_ ? Layout::kHybrid : Layout::kV1);
  }
  return host;
}

/// Where a controller is: in the v1 tree already found for it, or in the v2 tree.
Host::Place Host::find(Controller controller) const {
  const std::string name = controller_name(controller);
  Place found = place(controller);
  if (!found.mount && unified_) {
    auto offered = read_text(unified_->point + "/cgroup.controllers");
    if (!offered.ok()) {
      found.why_not = name + ": " + offered.error().message;
      return found;
    }
    offered->erase(offered->find_last_not_of('\n') + 1);
    const std::vector<std::string> list = split(*offered, ' ');
    if (std::find(list.begin(), list.end(), name) == list.end()) {
      found.why_not = "the " + name + " controller is missing: the v2 tree at " + unified_->point +
                      " offers only '" + *offered +
                      "'; boot the kernel with it (cgroup_enable=" + name + "), or delegate it";
      return found;
    }
    found.mount = unified_;
  }
  if (!found.mount) {
    found.why_not = "the " + name +
                    " controller is not mounted here: mount a cgroup tree, or give "
                    "pocketd's container the host's /sys/fs/cgroup";
    return found;
  }
  auto text = read_text(proc_root_ + "/self/cgroup");
  const auto own = text.ok() ? group_in(*text, found.mount->v2 ? "" : name) : std::nullopt;
  const std::string why = refusal(*found.mount, own.value_or("/"));
  if (!why.empty()) found.why_not = "the " + name + " controller: " + why;
  return found;
}

std::string Host::describe() const {
  std::string text = std::string(layout_name(layout_)) + ":";
  for (const Controller controller : kBoth) {
    const Place& it = place(controller);
    text += controller == Controller::kCpu ? " cpu" : "; memory";
    if (it.mount)
      text += std::string(it.mount->v2 ? " on v2" : " on v1") + " at " + it.mount->point;
    if (!it.why_not.empty()) text += " not usable (" + it.why_not + ")";
  }
  return text;
}

std::string Host::why_not(Controller controller) const { return place(controller).why_not; }

std::string Host::mount_point(Controller controller) const {
  const auto& mount = place(controller).mount;
  return mount ? mount->point : "";
}

bool Host::is_v2(Controller controller) const {
  const auto& mount = place(controller).mount;
  return mount && mount->v2;
}

Result<Mount> Host::mounted(Controller controller) const {
  const Place& it = place(controller);
  if (it.mount) return *it.mount;
  return Error{POCKET_FAILED_PRECONDITION, it.why_not};
}

Result<std::string> Host::visible(const Mount& mount, const std::string& group, pid_t pid) const {
  if (auto path = path_below(mount, group)) return *std::move(path);
  return Error{POCKET_PERMISSION_DENIED,
               "group '" + group + "' of process " + std::to_string(pid) +
                   " lies outside what is mounted at " + mount.point + " (which shows '" +
                   mount.root +
                   "'): run pocketd in the host's cgroup namespace with the host's "
                   "/sys/fs/cgroup mounted (Docker: --cgroupns=host)"};
}

Result<std::string> Host::group_of(Controller controller, pid_t pid, int pidfd) const {
  POCKET_ASSIGN_OR_RETURN(const Mount mount, mounted(controller));
  POCKET_ASSIGN_OR_RETURN(
      const std::string group,
      group_of_process(proc_root_, pid, pidfd, mount.v2 ? "" : controller_name(controller)));
  return visible(mount, group, pid);
}

GroupPlace Host::group_place(Controller controller, const Mount& mount,
                             const std::string& path) const {
  GroupPlace place;
  place.controller = controller;
  place.v2 = mount.v2;
  place.path = path;
  const std::string below = path.substr(mount.point.size());
  if (!mount.v2 && accounting_) place.accounting = accounting_->point + below;
  if (!mount.v2 && freezer_) place.freezer = freezer_->point + below;
  return place;
}

Result<Group> Host::open(Controller controller, const std::string& path) const {
  POCKET_ASSIGN_OR_RETURN(const Mount mount, mounted(controller));
  std::string clean = path;
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  const std::vector<std::string> names = split(clean, '/');
  const bool climbs = std::find(names.begin(), names.end(), "..") != names.end();
  if (climbs || (clean != mount.point && !clean.starts_with(mount.point + "/"))) {
    return Error{POCKET_INVALID_ARGUMENT, "'" + path + "' is no path at or below " + mount.point +
                                              ", where the " + controller_name(controller) +
                                              " controller is mounted"};
  }
  return Group::open(group_place(controller, mount, clean));
}

Result<bool> Host::frozen(pid_t pid, int pidfd) const {
  const auto& mount = freezer_ ? freezer_ : unified_;
  if (!mount) return false;  // nothing here can freeze
  POCKET_ASSIGN_OR_RETURN(const std::string group,
                          group_of_process(proc_root_, pid, pidfd, mount->v2 ? "" : "freezer"));
  POCKET_ASSIGN_OR_RETURN(const std::string path, visible(*mount, group, pid));
  GroupPlace place;
  place.v2 = mount->v2;
  place.path = path;
  place.freezer = path;
  POCKET_ASSIGN_OR_RETURN(Group stopped, Group::open(place));
  return stopped.frozen();
}

std::string Host::label(Controller controller, const std::string& path) const {
  const std::string point = mount_point(controller);
  return container_of(!point.empty() && path.starts_with(point) ? path.substr(point.size()) : path);
}

}  // namespace pocket::cgroup
