// What this host gives a runner, found out by trying.
#pragma once

#include <string>

#include "base/result.h"
#include "sandbox/settings.h"

namespace pocket::sandbox {

/// Starts `runner` (the pocket-runner program) as a runner would be started, lets it enter its
/// sandbox and tell how that went, and waits for its end: some milliseconds.
Result<Report> probe(const std::string& runner, const Settings& settings);

}  // namespace pocket::sandbox
