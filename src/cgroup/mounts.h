// The cgroup trees that are mounted where this process can see them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cgroup {

/// One mounted cgroup tree.
struct Mount {
  std::string point;  ///< absolute path of the mount
  /// The group that shows at the mount point, as this process's cgroup namespace names it: "/" for
  /// the whole tree, "/docker/ID" when only a part was mounted, "/../.." above the namespace.
  std::string root;
  bool v2 = false;
  bool read_only = false;
  std::vector<std::string> controllers;  ///< of a v1 tree; a v2 tree lists its own in a file

  bool has(const std::string& controller) const;
};

/// The trees in the text of /proc/self/mountinfo. A mount that a later one hides is left out; of
/// several mounts of one tree only the most useful is kept: writable before read-only, then the
/// one that shows most of the tree.
std::vector<Mount> parse_mounts(const std::string& mountinfo);

/// Where `group`, a path from /proc/PID/cgroup, lies below the mount: an absolute path; nullopt
/// when the mount does not show it.
std::optional<std::string> path_below(const Mount& mount, const std::string& group);

/// The whole of a small file. The error is errno's, with the path.
Result<std::string> read_text(const std::string& path);

/// The pieces of `text` between separators; empty pieces are left out.
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace pocket::cgroup
