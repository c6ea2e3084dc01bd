// Where engines keep compiled models.
#pragma once

#include <string>

#include "base/result.h"

namespace pocket::daemon {

/// The folder below `root` of the runners of one group, so that what one runner leaves is never
/// what another one runs. Whatever the name of the group.
std::string engine_cache(const std::string& root, const std::string& group);

/// Makes it, so that a runner of any user can write there who sees it; others cannot get to it, for
/// `root` is this user's alone unless `open_root` says that runners come by that way.
Result<void> make_engine_cache(const std::string& root, const std::string& cache, bool open_root);

}  // namespace pocket::daemon
