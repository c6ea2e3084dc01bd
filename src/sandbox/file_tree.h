// The file tree that a runner sees.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::sandbox {

/// Plain data: files and folders of the host that stay, at the paths they have; what is not named
/// is not there. A path that does not exist is left out.
struct FileTree {
  std::vector<std::string> shown;  // read-only
  std::vector<std::string> writable;
};

/// Replaces this process's file tree, in a mount namespace of its own, by an empty read-only one
/// with what is named, the processors' description of /sys, a /proc of this PID namespace, where
/// there is one, and three devices. Needs the right to mount; one thread. When it fails the process
/// may be left with a tree that is half made: it should end, unless `undone` says that nothing was
/// changed.
Result<void> enter_file_tree(const FileTree& tree, bool& undone);

}  // namespace pocket::sandbox
