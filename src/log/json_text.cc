#include "log/json_text.h"

#include <nlohmann/json.hpp>

namespace pocket::log {

std::string json_text(std::string_view text) {
  const nlohmann::json value = std::string(text);
  return value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

}  // namespace pocket::log
