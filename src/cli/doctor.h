// One finding of `pocket doctor`, and those about lending.
#pragma once

#include <string>
#include <vector>

#include "cgroup/host.h"
#include "cgroup/mounts.h"

namespace pocket::cli {

enum class Verdict { kOk, kWarning, kFailed };

struct Check {
  const char* name;
  Verdict verdict;
  std::string text;
};

/// Which trees there are, and whether this user may change limits in them.
Check check_cgroups(const cgroup::Host& host);
/// Where the processor time of groups is counted: on v1 in cpu's own tree or another one.
Check check_accounting(const cgroup::Host& host, const std::vector<cgroup::Mount>& mounts);
/// What a service of this user could lend, and what process `client` would.
Check check_lending(const cgroup::Host& host, pid_t client);
/// Whether a client's memory may be swapped out unseen. `meminfo` is the text of /proc/meminfo.
Check check_swap(const cgroup::Host& host, const std::string& meminfo);
/// Whether what is lent is remembered on tmpfs; `socket` is the service's.
Check check_ledger(const std::string& socket);
/// What protects runners here, found out by starting `runner` (the pocket-runner program).
Check check_sandbox(const std::string& runner);
/// Whether the running service lends at all; `notes` are those of its leases.
Check check_budgets(const std::vector<std::string>& notes);

}  // namespace pocket::cli
