// Which process a number means: a pid with the moment its process started, which a later process
// that gets the same number does not share.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace pocket::cli {

struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat: clock ticks since the machine started

  bool operator==(const ProcessIdentity&) const = default;
};

/// The process that has this number now; start_ticks is 0 where there is none.
ProcessIdentity identity_of(pid_t pid);

/// True while that very process runs; a zombie does not run any more.
bool is_running(const ProcessIdentity& process);

/// A word that is another after each start of the machine; empty where the kernel gives none.
const std::string& boot_id();

}  // namespace pocket::cli
