// What `pocket run` was asked for.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/run/record.h"

namespace pocket::cli {

struct RunOptions {
  std::string name;
  int count = 1;
  bool detach = false;
  bool verbose = false;
  Limits limits;
  std::string cpu_policy, mem_policy;
  std::string socket;
  std::vector<std::string> environment;  // K=V
  std::string workdir;
  std::string log;     // detached: where its output goes; empty: nowhere
  std::string rusage;  // file for JSON, "text": for a reader, empty: no report
  bool measure_latency = false;
  bool perf = false;
  std::vector<std::string> command;

  // With an image: in a container.
  std::string image;
  std::string engine = "auto";
  std::string share_socket;  // socket of a service on this machine, or "default"
  std::string network = "none";
  std::vector<std::string> volumes;
};

/// Adds the options of `pocket run`; values that are wrong in themselves are refused by the parser.
void add_run_options(CLI::App& run, RunOptions& options);

/// What cannot be asked for together, with the reason.
Result<void> check_together(const RunOptions& options);

/// K=V for everything the options set: --env, then policies and --socket.
std::vector<std::string> client_environment(const RunOptions& options);

}  // namespace pocket::cli
