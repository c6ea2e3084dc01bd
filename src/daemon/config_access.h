// Reading of [access], [[socket]] and [tenant.NAME].
#pragma once

#include <string>

#include "base/result.h"
#include "base/toml.h"
#include "daemon/access_config.h"

namespace pocket::daemon {

/// Replaces `access` by what the file says. INVALID_ARGUMENT with file, line and key.
Result<void> read_access(const toml::table& file, const std::string& path, AccessConfig& access);

}  // namespace pocket::daemon
