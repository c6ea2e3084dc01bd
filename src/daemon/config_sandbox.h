// [sandbox] of the configuration.
#pragma once

#include <toml++/toml.h>

#include <string>

#include "daemon/config.h"

namespace pocket::daemon {

/// INVALID_ARGUMENT names file, line and key.
Result<void> read_sandbox(const toml::table& table, const std::string& path, Config& config);

}  // namespace pocket::daemon
