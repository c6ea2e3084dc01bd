// How `pocket top` shows its figures.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/top/figures.h"

namespace pocket::cli {

/// Lines without anything that could move a terminal's cursor, whatever things are called.
std::vector<std::string> figure_lines(const Figures& figures);
nlohmann::json figures_json(const Figures& figures);
/// The first `width` characters of UTF-8 text, and never half of one.
std::string clip(const std::string& text, size_t width);

}  // namespace pocket::cli
