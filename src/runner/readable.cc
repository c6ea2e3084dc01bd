#include "runner/readable.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace pocket::runner {
namespace {

namespace fs = std::filesystem;

constexpr int kMostFiles = 4096;

Result<void> check_file(const std::string& path) {
  if (::access(path.c_str(), R_OK) == 0 || errno != EACCES) return ok_result();
  return Error{POCKET_PERMISSION_DENIED,
               fmt::format("'{}' cannot be read by this runner, whose user is {}: runners of this "
                           "service have users of their own, so make the model readable for all "
                           "(chmod -R o+rX), or name a user who may read it in [sandbox] of the "
                           "configuration",
                           path, ::geteuid())};
}

}  // namespace

Result<void> check_readable(const std::string& model) {
  POCKET_RETURN_IF_ERROR(check_file(model));
  std::error_code error;
  int count = 0;
  fs::recursive_directory_iterator entry(fs::path(model).parent_path(), error);
  for (; !error && entry != fs::recursive_directory_iterator() && ++count < kMostFiles;
       entry.increment(error)) {
    POCKET_RETURN_IF_ERROR(check_file(entry->path().string()));
  }
  return ok_result();
}

}  // namespace pocket::runner
