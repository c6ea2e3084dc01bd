// Options that `pocket bench latency` and `eval-policy` have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/bench/latency_cells.h"

namespace pocket::cli {

inline const std::vector<std::string> kBenchApps = {"classify", "mobilenetv2", "resnet50",
                                                    "facedetect"};

void add_latency_setting(CLI::App& command, LatencySetting& setting);
/// One line that says what was limited.
void print_budget(const BudgetOptions& budget);

}  // namespace pocket::cli
