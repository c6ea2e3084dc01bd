// Starting a process that is to be sandboxed: what only its parent can do.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/settings.h"

namespace pocket::sandbox {

/// The one descriptor beside standard input, output and error that the process has.
constexpr int kPassedFd = 3;

/// A sandboxed process that ends itself because of signal N exits with this plus N: as the first
/// one of a PID namespace it cannot die of it.
constexpr int kSignalExit = 128;

struct StartRequest {
  std::vector<std::string> command;  // the program's path, then its arguments
  int passed = -1;                   // becomes kPassedFd
  int output = -1;                   // becomes standard output; -1: this process's own
  int priority = 0;  // as nice(2) counts; where this process may not give it, the usual one
};

struct StartedProcess {
  pid_t pid = -1;
  UniqueFd pidfd;
};

/// Starts the program with an environment of a few harmless variables, no other descriptor, no
/// signal blocked, standard input empty, in a process group of its own and, where `settings` want
/// it and the host gives it, as the first process of a PID namespace; without the right to make
/// namespaces, in a user namespace, where it has it. The program must call enter() itself. Safe in
/// a process with threads.
Result<StartedProcess> start_process(const StartRequest& request, const Settings& settings);

}  // namespace pocket::sandbox
