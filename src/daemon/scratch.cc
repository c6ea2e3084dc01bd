#include "daemon/scratch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace pocket::daemon {

Result<UniqueFd> open_scratch(const std::string& folder) {
  UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid() && (errno == EOPNOTSUPP || errno == EISDIR)) {
    // A file system that has no files without names: one with a name for a moment.
    std::string path = folder + "/pocket-scratch-XXXXXX";
    file.reset(::mkostemp(path.data(), O_CLOEXEC));
    if (file.valid()) ::unlink(path.c_str());
  }
  if (!file.valid()) {
    return errno_error(fmt::format("making a file in '{}' (engines.scratch_dir)", folder), errno);
  }
  struct statfs status {};
  if (::fstatfs(file.get(), &status) != 0) return errno_error("fstatfs", errno);
  if (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC) {
    return Error{POCKET_FAILED_PRECONDITION,
                 fmt::format("'{}' (engines.scratch_dir) lies in memory itself: name a folder on a "
                             "disk, or '' for none",
                             folder)};
  }
  return file;
}

}  // namespace pocket::daemon
