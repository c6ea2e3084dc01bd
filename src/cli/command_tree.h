// The commands of a program as its options describe them: what completion and manual are written
// from.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace pocket::cli {

/// A command with its full name, "pocket service run". The app must outlive it.
struct Command {
  std::string path;
  const CLI::App* app = nullptr;
};

/// `app` under the name `path`, and every command below it, each before its own subcommands.
std::vector<Command> collect_commands(const CLI::App& app, const std::string& path);

/// The subcommands of a command, in the order in which they were added.
std::vector<const CLI::App*> subcommands(const CLI::App& app);

/// The ways to write an option, "-h" and "--help"; none for a positional argument.
std::vector<std::string> flags(const CLI::Option& option);

}  // namespace pocket::cli
