#include "sandbox/syscall_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace pocket::sandbox {
namespace {

constexpr std::string_view kCommon =
#include "sandbox/common_syscalls.inc"
    ;

std::optional<int> error_number(std::string_view name) {
  if (name == "EPERM") return EPERM;
  if (name == "EACCES") return EACCES;
  if (name == "ENOSYS") return ENOSYS;
  if (name == "ENOTTY") return ENOTTY;
  return std::nullopt;
}

/// What either of the two needs is allowed.
void add_list(const SyscallList& more, SyscallList& list) {
  for (const SyscallRule& rule : more.rules) {
    const auto known = std::ranges::find(list.rules, rule.name, &SyscallRule::name);
    if (known == list.rules.end()) {
      list.rules.push_back(rule);
    } else if (rule.refusal == 0) {
      known->refusal = 0;
    }
  }
  list.executable_memory |= more.executable_memory;
  list.written_files |= more.written_files;
}

}  // namespace

Result<void> parse_syscalls(std::string_view text, const std::string& name, SyscallList& list) {
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first, equals, error, rest;
    if (!(words >> first)) continue;
    const bool more = static_cast<bool>(words >> equals);
    if (more) words >> error;
    const auto refusal = more ? error_number(error) : 0;
    if ((more && equals != "=") || !refusal || words >> rest) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("{} line {}: '{}' is not a system call, alone or with '= EPERM', "
                               "'= EACCES', '= ENOSYS' or '= ENOTTY'",
                               name, number, line)};
    }
    if (first == "+executable-memory") {
      list.executable_memory = true;
    } else if (first == "+written-files") {
      list.written_files = true;
    } else {
      std::erase_if(list.rules, [&](const SyscallRule& rule) { return rule.name == first; });
      list.rules.push_back({first, *refusal});
    }
  }
  return ok_result();
}

Result<SyscallList> common_syscalls() {
  SyscallList list;
  POCKET_RETURN_IF_ERROR(parse_syscalls(kCommon, "the common list", list));
  return list;
}

Result<SyscallList> syscalls_of(const std::vector<std::string>& plugins) {
  POCKET_ASSIGN_OR_RETURN(const SyscallList common, common_syscalls());
  SyscallList list;
  for (const auto& plugin : plugins) {
    SyscallList own = common;
    const auto path = std::filesystem::path(plugin).replace_extension(".syscalls").string();
    if (std::ifstream file(path); file) {
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      POCKET_RETURN_IF_ERROR(parse_syscalls(text, path, own));
    }
    add_list(own, list);
  }
  return plugins.empty() ? common : list;
}

}  // namespace pocket::sandbox
