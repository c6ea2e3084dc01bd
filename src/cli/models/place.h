// Which repository the commands of a folder work on.
#pragma once

#include <string>

#include "base/result.h"

namespace pocket::cli {

/// `models` when it names a folder, else the folder of the service at `socket`. NOT_FOUND, or the
/// failed connection's error, says how to name one.
Result<std::string> repository_folder(const std::string& models, const std::string& socket);

}  // namespace pocket::cli
