// What a shell needs to complete the commands and options of a program.
#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"

namespace pocket::cli {

/// A script for `source`, or for the shell's folder of completions. `commands` as
/// collect_commands gives them: the program itself first.
std::string bash_completion(const std::vector<Command>& commands);
std::string zsh_completion(const std::vector<Command>& commands);
std::string fish_completion(const std::vector<Command>& commands);

}  // namespace pocket::cli
