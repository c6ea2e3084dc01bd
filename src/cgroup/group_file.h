// One file of a group: opened once, read with one pread, written with one pwrite.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cgroup/controller.h"

namespace pocket::cgroup {

/// A group's open directory and what messages call it. The descriptor keeps meaning this very
/// group: a new one of the same name is never mistaken for it.
struct Folder {
  UniqueFd fd;
  std::string path;
  Controller controller = Controller::kCpu;
  bool v2 = false;

  /// NOT_FOUND when there is no such group.
  static Result<Folder> open(const std::string& path, Controller controller, bool v2);
  /// "group '/sys/fs/cgroup/cpu/x' (cpu, v1)"
  std::string title() const;
  /// False once the group has been removed.
  bool alive() const;
  bool has_file(const char* name) const;
};

/// The error of a call on a file of a group, with the group and the next step in its message.
/// NOT_FOUND: the group is gone. PERMISSION_DENIED: EACCES, EPERM or EROFS. FAILED_PRECONDITION:
/// the group has no such file, because the controller is not enabled for it or it is the root.
Error group_error(const Folder& folder, const char* doing, const char* file, int errno_value);

/// One thread at a time. `name` outlives the object (a literal).
class GroupFile {
 public:
  enum class Use : uint8_t { kRead, kChange, kCommand };  ///< kCommand: can only be written

  GroupFile(const char* name, Use use) : name_(name), use_(use) {}

  /// What the file holds, without the last newline, in `buffer`.
  Result<std::string_view> read(const Folder& folder, std::span<char> buffer);
  /// The file's one number.
  Result<int64_t> read_number(const Folder& folder);
  /// One pwrite. On failure `*failed_with`, when given, is errno.
  Result<void> write(const Folder& folder, std::string_view text, int* failed_with = nullptr);
  /// False when the group is there and lacks this file.
  Result<bool> exists(const Folder& folder);

 private:
  int open_once(const Folder& folder);  // 0 or errno

  const char* name_;
  Use use_;
  UniqueFd fd_;
  bool writable_ = false;
};

/// A whole number at the start of `text`; DATA_LOSS, naming the file, when there is none.
Result<int64_t> parse_number(std::string_view text, const Folder& folder, const char* file);

/// The number after `key` and a space at the start of a line of a stat file; `missing` when there
/// is no such line.
uint64_t stat_value(std::string_view text, std::string_view key, uint64_t missing = 0);

}  // namespace pocket::cgroup
