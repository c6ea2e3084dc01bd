// The benchmarks of `pocket bench`.
#pragma once

#include "cli/command.h"

namespace pocket::cli {

void add_bench_ipc(CLI::App& bench, Action& action);
void add_bench_isolation(CLI::App& bench, Action& action);
void add_bench_latency(CLI::App& bench, Action& action);
void add_bench_eval_policy(CLI::App& bench, Action& action);
void add_bench_lend(CLI::App& bench, Action& action);
void add_bench_fairness(CLI::App& bench, Action& action);

}  // namespace pocket::cli
