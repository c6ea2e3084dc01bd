// Lists of system calls, as docs/format-syscalls.md describes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pocket::sandbox {

struct SyscallRule {
  std::string name;
  int refusal = 0;  // 0: allowed; else the error number it fails with
};

/// Plain data; of several lists that are put together the last word about a call counts.
struct SyscallList {
  std::vector<SyscallRule> rules;
  bool executable_memory = false;  // memory may become executable: compilers, libraries
  bool written_files = false;      // files may be opened for writing and made
};

/// Adds what `text` says. INVALID_ARGUMENT with `name` and the line.
Result<void> parse_syscalls(std::string_view text, const std::string& name, SyscallList& list);

/// What every runner needs: threads, memory, files to read, the descriptors it was given.
Result<SyscallList> common_syscalls();

/// The common list, and those of the engines' plugins, `<plugin without .so>.syscalls`, where there
/// are some. What one engine needs is allowed, whatever another one says.
Result<SyscallList> syscalls_of(const std::vector<std::string>& plugins);

}  // namespace pocket::sandbox
