// Which folders a plugin's shared libraries lie in.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::sandbox {

/// The folders of all libraries that `program` or plugin needs, in any order, each once, as the
/// loader finds them and as they really are. Asks the C library's loader, which runs none of their
/// code. Starts a process and waits for it.
Result<std::vector<std::string>> library_folders(const std::string& plugin);

/// The paths in the loader's answer ("libx.so => /lib/libx.so (0x7f...)").
std::vector<std::string> parse_loader_list(const std::string& text);

}  // namespace pocket::sandbox
