// The user that a runner runs as.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace pocket::sandbox {

/// Changes this process's user, and drops all its groups, for ever. `user`: a name or a number;
/// empty: one that nothing else on the machine has, made of the process's number `outer_pid`.
/// PERMISSION_DENIED without the right to it.
Result<void> change_user(const std::string& user, pid_t outer_pid);

/// This process's number outside of its PID namespace, as far as /proc shows one.
pid_t outer_pid();

}  // namespace pocket::sandbox
