// Whether this runner's user may read a model.
#pragma once

#include <string>

#include "base/result.h"

namespace pocket::runner {

/// Looks at the model and everything beside it in its folder (weights of their own, for one).
/// PERMISSION_DENIED names the first file that may not be read, and what to do; engines say little
/// about it, and in the sandbox it is the likeliest thing to go wrong.
Result<void> check_readable(const std::string& model);

}  // namespace pocket::runner
