// Which files of the repository a runner sees.
#pragma once

#include <string>
#include <vector>

namespace pocket::daemon {

/// The folder, and what symbolic links in it lead to outside of it, link by link: all that must be
/// visible for the files in it to be opened. Looks at no more than a few thousand entries.
std::vector<std::string> files_behind(const std::string& folder);

}  // namespace pocket::daemon
