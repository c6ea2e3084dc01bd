// What pocketd gives up, and what its runners will be protected with.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"

namespace pocket::daemon {

/// Drops every capability that neither writing limits nor starting runners needs, and the way to
/// get others. Before the first thread is started; without effect where there are none.
Result<void> give_up_privileges();

/// Finds out how far the sandbox of a runner comes on this machine, by starting one: a line for
/// each protection that is wanted and missing. FAILED_PRECONDITION when a required one is.
Result<std::vector<std::string>> check_protections(const Config& config);

}  // namespace pocket::daemon
