// Reading a text file that must not be larger than expected.
#pragma once

#include <string>

#include "base/result.h"

namespace pocket::apps {

/// The whole file. NOT_FOUND where it cannot be read, INVALID_ARGUMENT above `most` bytes.
Result<std::string> read_text(const std::string& path, size_t most);

}  // namespace pocket::apps
