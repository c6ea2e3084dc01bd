// The commands about runs, which add_run_commands() puts together.
#pragma once

#include "cli/command.h"

namespace pocket::cli {

void add_run_command(CLI::App& app, Action& action);
void add_wait_command(CLI::App& app, Action& action);
void add_ps_command(CLI::App& app, Action& action);
void add_rusage_command(CLI::App& app, Action& action);

}  // namespace pocket::cli
