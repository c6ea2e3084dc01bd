// Manual pages, written from the options themselves so that they cannot disagree with --help.
#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"

namespace pocket::cli {

/// "pocket service run" -> "pocket-service-run": the name of a command's page.
std::string page_name(const Command& command);

/// The page of one command of `commands`, in roff; the program's own page lists all of them.
/// `version` is the program's.
std::string manual_page(const Command& command, const std::vector<Command>& commands,
                        const std::string& version);

}  // namespace pocket::cli
