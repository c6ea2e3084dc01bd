// Files on a disk for what engines can read back, and so need not hold in memory.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::daemon {

/// An empty file in `folder` for reading and writing. It has no name: nobody else gets to it, and
/// it is gone with its last descriptor and mapping, however these end. FAILED_PRECONDITION where
/// the folder itself lies in memory.
Result<UniqueFd> open_scratch(const std::string& folder);

}  // namespace pocket::daemon
