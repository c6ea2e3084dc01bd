// Which files of the repository a runner sees.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/runner_process.h"
#include "model/repository.h"

namespace pocket::daemon {

/// The folder, and what symbolic links in it lead to outside of it, link by link: all that must be
/// visible for the files in it to be opened. Looks at no more than a few thousand entries.
std::vector<std::string> files_behind(const std::string& folder);

/// What a runner needs to see and to run for the model and all that it uses.
RunnerFiles files_of_model(const model::ModelSource& source, const std::string& engine,
                           const Config& config);

/// Adds the engines and files of `more`, each once.
void add_files(const RunnerFiles& more, RunnerFiles& files);

}  // namespace pocket::daemon
