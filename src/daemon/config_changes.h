// What a running service takes over from a configuration that was read anew.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.h"

namespace pocket::daemon {

/// For people: "limits.sessions: 10, was 4096".
struct ConfigChanges {
  std::vector<std::string> changed;
  std::vector<std::string> needs_restart;  // keys that differ and are not taken over
};

/// Takes over what may change at run time. Both are complete (complete_config).
ConfigChanges apply_changes(Config& live, const Config& wanted);

}  // namespace pocket::daemon
