// pocket: the command line.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.h"
#include "pocket/pocket.h"

int main(int argc, char** argv) {
  using namespace pocket::cli;
  CLI::App app("pocket: one ML runtime for every container of a machine");
  app.set_version_flag("--version", std::string(pocket_version()));
  app.require_subcommand(1);
  Action action;
  add_service_command(app, action);
  add_models_command(app, action);
  add_top_command(app, action);
  add_leases_command(app, action);
  add_audit_command(app, action);
  add_reload_command(app, action);
  add_run_commands(app, action);
  add_infer_command(app, action);
  add_new_command(app, action);
  add_bench_command(app, action);
  add_doctor_command(app, action);
  add_completion_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto done = action();
  if (done.ok()) return *done;
  std::fprintf(stderr, "pocket: %s\n", done.error().message.c_str());
  return 1;
}
