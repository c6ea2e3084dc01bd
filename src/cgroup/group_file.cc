#include "cgroup/group_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace pocket::cgroup {
namespace {

// The kernel gives EINTR when a signal arrives while it reclaims memory for a new limit.
constexpr int kInterruptedTries = 16;

bool is_refusal(int value) { return value == EACCES || value == EPERM || value == EROFS; }

const char* next_step(int value, bool v2) {
  switch (value) {
    case EROFS:
      return "; the tree is mounted read-only: mount it writable for pocketd";
    case EACCES:
    case EPERM:
      return "; run pocketd as root, or delegate the group to its user";
    case ENOENT:
      return v2 ? "; the controller is not enabled for this group (see cgroup.subtree_control of "
                  "its parent), or it is the root group"
                : "; this kernel or this group does not have the file";
    default:
      return "";
  }
}

}  // namespace

Result<Folder> Folder::open(const std::string& path, Controller controller, bool v2) {
  Folder folder;
  folder.path = path;
  folder.controller = controller;
  folder.v2 = v2;
  folder.fd.reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd.valid()) return folder;
  const int value = errno;
  if (value == ENOENT || value == ENOTDIR) {
    return Error{POCKET_NOT_FOUND, "group gone: there is no " + folder.title()};
  }
  return errno_error("opening " + folder.title(), value);
}

std::string Folder::title() const {
  return "group '" + path + "' (" + controller_name(controller) + (v2 ? ", v2)" : ", v1)");
}

bool Folder::has_file(const char* name) const { return ::faccessat(fd.get(), name, F_OK, 0) == 0; }

bool Folder::alive() const { return has_file("cgroup.procs"); }

Error group_error(const Folder& folder, const char* doing, const char* file, int errno_value) {
  if (errno_value == ENODEV || (errno_value == ENOENT && !folder.alive())) {
    return Error{POCKET_NOT_FOUND,
                 "group gone: " + folder.title() + " was removed (" + doing + " '" + file + "')"};
  }
  Error error =
      errno_error(std::string(doing) + " '" + file + "' of " + folder.title(), errno_value);
  error.message += next_step(errno_value, folder.v2);
  if (errno_value == ENOENT) error.code = POCKET_FAILED_PRECONDITION;
  return error;
}

int GroupFile::open_once(const Folder& folder) {
  if (fd_.valid()) return 0;
  // Newer v2 kernels then leave out the reclaim and the kill that lowering memory.max may start;
  // for others the flag means nothing.
  constexpr int kFlags = O_CLOEXEC | O_NONBLOCK;
  const int wanted = use_ == Use::kRead ? O_RDONLY : (use_ == Use::kChange ? O_RDWR : O_WRONLY);
  fd_.reset(::openat(folder.fd.get(), name_, wanted | kFlags));
  writable_ = fd_.valid() && use_ != Use::kRead;
  if (!fd_.valid() && use_ == Use::kChange && is_refusal(errno)) {
    fd_.reset(::openat(folder.fd.get(), name_, O_RDONLY | kFlags));  // to look is still allowed
  }
  return fd_.valid() ? 0 : errno;
}

Result<std::string_view> GroupFile::read(const Folder& folder, std::span<char> buffer) {
  if (int failed = open_once(folder)) return group_error(folder, "opening", name_, failed);
  ssize_t n = 0;
  do {
    n = ::pread(fd_.get(), buffer.data(), buffer.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return group_error(folder, "reading", name_, errno);
  if (static_cast<size_t>(n) == buffer.size()) {
    return Error{POCKET_INTERNAL, std::string("reading '") + name_ + "' of " + folder.title() +
                                      ": longer than " + std::to_string(n) + " bytes"};
  }
  std::string_view text(buffer.data(), static_cast<size_t>(n));
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

Result<int64_t> GroupFile::read_number(const Folder& folder) {
  char buffer[64];
  POCKET_ASSIGN_OR_RETURN(const std::string_view text, read(folder, buffer));
  return parse_number(text, folder, name_);
}

Result<void> GroupFile::write(const Folder& folder, std::string_view text, int* failed_with) {
  int failed = open_once(folder);
  if (failed == 0 && !writable_) {  // the permission may have come since
    fd_.reset();
    failed = open_once(folder);
    if (failed == 0 && !writable_)
      failed = ::faccessat(folder.fd.get(), name_, W_OK, AT_EACCESS) < 0 ? errno : EACCES;
  }
  for (int tries = 0; failed == 0 && tries < kInterruptedTries; ++tries) {
    const ssize_t n = ::pwrite(fd_.get(), text.data(), text.size(), 0);
    if (n == static_cast<ssize_t>(text.size())) return ok_result();
    if (n >= 0) failed = EIO;
    if (n < 0 && errno != EINTR) failed = errno;
  }
  if (failed == 0) failed = EINTR;
  if (failed_with != nullptr) *failed_with = failed;
  Error error = group_error(folder, "writing", name_, failed);
  error.message += " (value '" + std::string(text) + "')";
  return error;
}

Result<bool> GroupFile::exists(const Folder& folder) {
  const int failed = open_once(folder);
  if (failed == 0) return true;
  if (failed == ENOENT && folder.alive()) return false;
  return group_error(folder, "opening", name_, failed);
}

Result<int64_t> parse_number(std::string_view text, const Folder& folder, const char* file) {
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = end == text.data() + text.size() || *end == ' ' || *end == '\n';
  if (failed == std::errc::result_out_of_range) return INT64_MAX;
  if (failed != std::errc() || !whole) {
    return Error{POCKET_DATA_LOSS, std::string("reading '") + file + "' of " + folder.title() +
                                       ": '" + std::string(text) + "' is not a number"};
  }
  return value;
}

uint64_t stat_value(std::string_view text, std::string_view key, uint64_t missing) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      uint64_t value = 0;
      const auto [stop, failed] =
          std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
      return failed == std::errc() ? value : missing;
    }
    at = end + 1;
  }
  return missing;
}

}  // namespace pocket::cgroup
