// A short name for people from a group's path.
#pragma once

#include <string>

namespace pocket::cgroup {

/// The whole id of the innermost container of a path, "" when none is recognised.
std::string container_id(const std::string& path);

/// "docker 1f3a5b7c9d0e", "podman ...", "containerd ...", "cri-o ...",
/// "kubernetes pod UID container 1f3a5b7c9d0e", "systemd foo.service", "root group" or, when none
/// of these is recognised, "group /x". `path` is relative to the tree ("/docker/ID"); container
/// ids are cut to 12 digits; of nested containers the innermost is named.
std::string container_of(const std::string& path);

}  // namespace pocket::cgroup
