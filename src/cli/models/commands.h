// The commands below `pocket models` that need no service.
#pragma once

#include "cli/command.h"

namespace pocket::cli {

void add_get_commands(CLI::App& models, Action& action);   // fetch, build
void add_lock_commands(CLI::App& models, Action& action);  // verify, lock

}  // namespace pocket::cli
