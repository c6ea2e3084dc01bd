// What engine plugins are called and where they lie; nothing here opens one.
#pragma once

#include <string>
#include <vector>

namespace pocket {

/// True for names of 1 to 64 characters out of a-z, 0-9, _ and -.
bool is_engine_name(const std::string& name);

/// `<engine_dir>/libpocket-engine-<name>.so`.
std::string engine_path(const std::string& engine_dir, const std::string& name);

/// Names of the engines in a folder, sorted; empty when there is no such folder.
std::vector<std::string> list_engines(const std::string& engine_dir);

}  // namespace pocket
