// A measurement that is ended early leaves nothing behind.
#pragma once

#include "cli/command.h"

namespace pocket::cli {

/// Does `measure` in a child process. When this process is told to end (Ctrl-C, a time-out), or the
/// child dies, everything the child started ends, and its groups and folders are removed; then 128
/// and the number of the signal. Before other threads are started.
Result<int> watched(const Action& measure);

}  // namespace pocket::cli
