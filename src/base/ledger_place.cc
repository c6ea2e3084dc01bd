#include "base/ledger_place.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace pocket {
namespace {

std::string folder_name() { return "pocket-ledger-" + std::to_string(::geteuid()); }

bool is_good(const std::string& place) {
  struct statfs system {};
  return ::statfs(place.c_str(), &system) == 0 &&
         (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC) &&
         ::access(place.c_str(), W_OK) == 0;
}

std::filesystem::path our_folder(const std::string& ledger) {
  const auto folder = std::filesystem::path(ledger).parent_path();
  return folder.filename() == folder_name() ? folder : std::filesystem::path();
}

}  // namespace

std::string default_ledger(const std::string& socket) {
  std::string file = socket.substr(socket.find_first_not_of('/'));
  std::ranges::replace(file, '/', '_');
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  for (const std::string place : {runtime == nullptr ? "" : runtime, "/run", "/dev/shm"}) {
    if (!place.empty() && is_good(place)) return place + "/" + folder_name() + "/" + file;
  }
  return socket + ".ledger";
}

Result<void> make_ledger_folder(const std::string& ledger) {
  const auto folder = our_folder(ledger);
  if (folder.empty()) return ok_result();
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error("making the folder of the ledger, '" + folder.string() + "'", errno);
  }
  struct stat status {};
  if (::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
      status.st_uid == ::geteuid() && (status.st_mode & 022) == 0) {
    return ok_result();
  }
  return Error{POCKET_PERMISSION_DENIED, "the folder of the ledger, '" + folder.string() +
                                             "', is not this user's alone: remove it, or set "
                                             "budget.ledger"};
}

void remove_ledger_folder(const std::string& ledger) {
  const auto folder = our_folder(ledger);
  if (!folder.empty()) (void)::rmdir(folder.c_str());
}

}  // namespace pocket
