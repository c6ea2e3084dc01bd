// What is checked of a TOML text before the parser sees it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pocket::model {

/// TOML has characters beyond ASCII only in comments and in strings. toml++ 3.3 asks of such a
/// character elsewhere whether it is a space, and for most of them its answer is undefined
/// behaviour. INVALID_ARGUMENT names the line.
Result<void> check_toml_text(std::string_view text, const std::string& path);

}  // namespace pocket::model
