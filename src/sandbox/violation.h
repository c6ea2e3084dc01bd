// What is told when a runner is stopped by its list of system calls, or aborts.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace pocket::sandbox {

/// From now on a system call that is not on the list writes a line to standard error, sends
/// `packet` over `socket` once and ends the process with kSignalExit + SIGSYS; an abort() ends it
/// with kSignalExit + SIGABRT. The text `placeholder`, somewhere in the packet and made of at least
/// 24 characters, is replaced by the name of the call. -1: no socket. Call it once, before there is
/// a filter.
Result<void> report_violations(int socket, std::span<const uint8_t> packet,
                               std::string_view placeholder);

}  // namespace pocket::sandbox
