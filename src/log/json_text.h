// Text as JSON has it.
#pragma once

#include <string>
#include <string_view>

namespace pocket::log {

/// With quotes, in ASCII, on one line whatever the text holds; what is no UTF-8
/// becomes U+FFFD.
std::string json_text(std::string_view text);

}  // namespace pocket::log
