// pocket bench: the measurements whose figures the documents quote.
#include "cli/bench/command.h"

#include "cli/bench/watched.h"

namespace pocket::cli {

void add_bench_command(CLI::App& app, Action& action) {
  auto* bench = app.add_subcommand("bench", "Measure Pocket beside its floor and its rivals");
  bench->require_subcommand(1);
  add_bench_ipc(*bench, action);
  add_bench_isolation(*bench, action);
  add_bench_latency(*bench, action);
  add_bench_eval_policy(*bench, action);
  add_bench_lend(*bench, action);
  add_bench_fairness(*bench, action);
  bench->final_callback(
      [&action] { action = [measure = std::move(action)] { return watched(measure); }; });
}

}  // namespace pocket::cli
