// The shape of a subcommand: it adds its options to the program and says what to do.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace pocket::cli {

/// What the chosen subcommand does once everything is parsed; set by its callback.
using Action = std::function<Result<int>()>;

/// Options every subcommand that talks to a service has.
struct ServiceOptions {
  std::string socket;
  std::string json;  // file for JSON, "-" for standard output, empty: none
};
void add_service_options(CLI::App& app, ServiceOptions& options);
/// `--json [FILE]`: where JSON goes; "-" when no file is named.
void add_json_option(CLI::App& app, std::string& file);

/// Writes JSON to the file the user named, or to standard output for "-".
Result<void> write_json(const std::string& file, const nlohmann::json& json);

void add_service_command(CLI::App& app, Action& action);
void add_models_command(CLI::App& app, Action& action);
void add_reload_command(CLI::App& app, Action& action);
void add_top_command(CLI::App& app, Action& action);
void add_audit_command(CLI::App& app, Action& action);
void add_leases_command(CLI::App& app, Action& action);
void add_run_commands(CLI::App& app, Action& action);  // run, wait, ps, rusage
void add_infer_command(CLI::App& app, Action& action);
void add_new_command(CLI::App& app, Action& action);
void add_bench_command(CLI::App& app, Action& action);
void add_doctor_command(CLI::App& app, Action& action);
void add_completion_command(CLI::App& app, Action& action);  // completion, man

}  // namespace pocket::cli
