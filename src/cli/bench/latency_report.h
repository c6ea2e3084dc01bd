// The rows and the lines for people of `pocket bench latency` and `eval-policy`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench/latency_cells.h"

namespace pocket::cli {

/// One row of the benchmark's JSON.
nlohmann::json make_row(const std::string& engine, const Budget& budget, const Cell& cell,
                        const Gathered& gathered);
/// A table of rows.
void print_rows(const nlohmann::json& rows);
/// What the numbers come to: each side beside the monolithic one.
void print_ratios(const Results& results);

}  // namespace pocket::cli
