// From a process to the groups it is in: /proc/PID/cgroup.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace pocket::cgroup {

/// The group in the text of /proc/PID/cgroup: the line of a v1 controller ("4:memory:/x"), or with
/// "" the line of the v2 tree ("0::/x"). nullopt when there is no such line.
std::optional<std::string> group_in(const std::string& text, const std::string& controller);

/// The group of a process, as this process's cgroup namespace names it; `controller` as for
/// group_in. With pidfd >= 0 the answer is given only if that process was still alive after the
/// read, so a reused pid is never mistaken for the old process.
/// UNAVAILABLE: the process is gone or about to go. NOT_FOUND: its group was removed, or it is in
/// no group of this controller. INVALID_ARGUMENT: pid <= 0 (a peer in a pid namespace that this
/// process cannot see).
Result<std::string> group_of_process(const std::string& proc_root, pid_t pid, int pidfd,
                                     const std::string& controller);

}  // namespace pocket::cgroup
