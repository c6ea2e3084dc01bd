// What every benchmark reports: one JSON shape, and the statistics in it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cli {

/// {"benchmark", "version", "host", "config", "rows": []}; rows are flat objects with units in
/// keys.
nlohmann::json make_report(const std::string& benchmark, nlohmann::json config);

/// The q-quantile (0..1) of values in any order, by the nearest rank; 0 when there are none.
double quantile(std::vector<double> values, double q);
double mean(const std::vector<double>& values);

/// Says on standard error how far a long measurement is; silent when that is not a terminal.
void show_progress(const std::string& text);
void end_progress();

}  // namespace pocket::cli
