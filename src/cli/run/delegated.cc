#include "cli/run/delegated.h"

namespace pocket::cli {

std::string delegated_parent(const std::string& top, const std::string& own,
                             const std::function<bool(const std::string&)>& writable) {
  if (!own.starts_with(top + "/")) return "";
  std::string folder = own;
  while (true) {
    folder.resize(folder.rfind('/'));
    if (folder.size() <= top.size()) return "";
    // Moving a process takes write access to the processes of the common parent, which is this one.
    if (writable(folder) && writable(folder + "/cgroup.procs")) {
      return folder.substr(top.size() + 1);
    }
  }
}

}  // namespace pocket::cli
