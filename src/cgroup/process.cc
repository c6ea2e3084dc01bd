#include "cgroup/process.h"

#include <poll.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "cgroup/mounts.h"

namespace pocket::cgroup {
namespace {

constexpr char kDeleted[] = " (deleted)";
constexpr unsigned long kExiting = 0x4;  // PF_EXITING of the kernel's task flags

Error gone(const std::string& process) {
  return Error{POCKET_UNAVAILABLE,
               process + " is gone (it ended, or its pid was reused): drop its session"};
}

/// A pidfd is readable once its process has ended, also as a zombie. No permission is needed.
bool ended(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  int n = 0;
  do {
    n = ::poll(&entry, 1, 0);
  } while (n < 0 && errno == EINTR);
  return n < 0 || (entry.revents & (POLLIN | POLLNVAL | POLLERR)) != 0;
}

/// True when the process is on its way out; the kernel then names its v1 groups "/".
bool exiting(const std::string& folder) {
  auto stat = read_text(folder + "/stat");
  if (!stat.ok()) return true;
  // "pid (any name) state ppid pgrp session tty tpgid flags ..."; the name may hold parentheses.
  const size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return true;
  const std::vector<std::string> fields = split(stat->substr(name_end + 1), ' ');
  return fields.size() < 7 || (std::strtoul(fields[6].c_str(), nullptr, 10) & kExiting) != 0;
}

}  // namespace

std::optional<std::string> group_in(const std::string& text, const std::string& controller) {
  for (const std::string& line : split(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string list = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool wanted =
        controller.empty() ? list == ",," : list.find("," + controller + ",") != std::string::npos;
    if (wanted) return line.substr(second + 1);
  }
  return std::nullopt;
}

Result<std::string> group_of_process(const std::string& proc_root, pid_t pid, int pidfd,
                                     const std::string& controller) {
  const std::string process = "process " + std::to_string(pid);
  if (pid <= 0) {
    return Error{POCKET_INVALID_ARGUMENT,
                 process +
                     " cannot be looked up: it lives in a pid namespace that this process "
                     "does not see; run pocketd in the host's pid namespace"};
  }
  const std::string folder = proc_root + "/" + std::to_string(pid);
  auto text = read_text(folder + "/cgroup");
  if (!text.ok()) {
    if (text.error().code == POCKET_NOT_FOUND) return gone(process);
    return std::move(text).error();
  }
  auto group = group_in(*text, controller);
  const bool unsure = group && *group == "/" && !controller.empty();
  if (unsure && exiting(folder)) return gone(process);
  if (pidfd >= 0 && ended(pidfd)) return gone(process);
  if (!group) {
    return Error{POCKET_NOT_FOUND,
                 process + " is in no group of the " +
                     (controller.empty() ? "v2 tree" : controller + " controller") + " (" + folder +
                     "/cgroup has no line for it)"};
  }
  if (group->ends_with(kDeleted)) {
    return Error{POCKET_NOT_FOUND, "group gone: '" + *group + "' of " + process +
                                       " was removed; there is no budget left to read"};
  }
  return *std::move(group);
}

}  // namespace pocket::cgroup
