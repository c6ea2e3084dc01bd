// What the kernel says of another process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace pocket::testing {

/// Open file descriptors; 0 when the process is gone.
size_t fd_count(pid_t pid);
/// The count once it has not changed for 0.1 s: what was needed for a moment is closed by then.
size_t settled_fd_count(pid_t pid);
/// Proportional set size in bytes; 0 when it cannot be read.
uint64_t pss_bytes(pid_t pid);
/// What it wrote itself, shared memory included. Unlike pss_bytes it does not change when another
/// process that runs the same program starts or ends: compare this one over time.
uint64_t own_bytes(pid_t pid);
/// Processor time of all its threads so far, dead ones included.
uint64_t cpu_ns(pid_t pid);
/// Mappings of a process whose line holds `text`.
size_t mappings(pid_t pid, const std::string& text);
/// A number of /proc/PID/status such as "Threads" or "VmSize" (kB); 0 when there is none.
uint64_t status_number(pid_t pid, const std::string& key);

}  // namespace pocket::testing
