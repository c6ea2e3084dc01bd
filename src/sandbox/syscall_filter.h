// The list of system calls, put into force.
#pragma once

#include "base/result.h"
#include "sandbox/syscall_list.h"

namespace pocket::sandbox {

/// For all threads of this process, and for ever: what is not on the list raises SIGSYS
/// (violation.h). Threads may be started, processes may not; memory becomes executable and files
/// are opened for writing only where the list says so. INVALID_ARGUMENT names a call that no kernel
/// has.
Result<void> filter_syscalls(const SyscallList& list);

}  // namespace pocket::sandbox
