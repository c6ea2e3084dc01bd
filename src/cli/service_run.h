// pocket service run, a subcommand of `pocket service`.
#pragma once

#include "cli/command.h"

namespace pocket::cli {

void add_service_run_command(CLI::App& service, Action& action);

}  // namespace pocket::cli
