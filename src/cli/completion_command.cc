// pocket completion, pocket man: written from the options themselves.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "pocket/pocket.h"

namespace pocket::cli {
namespace {

std::string completion(const std::string& shell, const std::vector<Command>& commands) {
  if (shell == "fish") return fish_completion(commands);
  return shell == "zsh" ? zsh_completion(commands) : bash_completion(commands);
}

Result<void> write_pages(const std::vector<Command>& commands,
                         const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return errno_error(fmt::format("making '{}'", folder.string()), error.value());
  for (const auto& command : commands) {
    const std::string path = folder / (page_name(command) + ".1");
    std::ofstream file(path);
    file << manual_page(command, commands, pocket_version());
    file.flush();
    if (!file) return errno_error(fmt::format("writing '{}'", path), errno);
  }
  return ok_result();
}

Result<int> print_page(const std::vector<Command>& commands,
                       const std::vector<std::string>& words) {
  std::string path = "pocket";
  for (const auto& word : words) path += " " + word;
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [&](const Command& command) { return command.path == path; });
  if (found == commands.end()) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("there is no command '{}'; see `pocket --help`", path)};
  }
  fmt::print("{}", manual_page(*found, commands, pocket_version()));
  return 0;
}

struct ManualOptions {
  std::vector<std::string> words;
  std::string folder;
};

}  // namespace

void add_completion_command(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>();
  auto* completions =
      app.add_subcommand("completion", "Print the completion of a shell, e.g. for ~/.bashrc");
  completions->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completions->callback([&action, &app, shell] {
    action = [&app, shell]() -> Result<int> {
      fmt::print("{}", completion(*shell, collect_commands(app, "pocket")));
      return 0;
    };
  });
  auto options = std::make_shared<ManualOptions>();
  auto* page = app.add_subcommand("man", "Print a manual page (pocket man infer | man -l -)");
  page->add_option("command", options->words, "Of which command (default: pocket)");
  page->add_option("--directory", options->folder, "Write the pages of all commands into a folder")
      ->type_name("DIR");
  page->callback([&action, &app, options] {
    action = [&app, options]() -> Result<int> {
      const auto commands = collect_commands(app, "pocket");
      if (options->folder.empty()) return print_page(commands, options->words);
      POCKET_RETURN_IF_ERROR(write_pages(commands, options->folder));
      return 0;
    };
  });
}

}  // namespace pocket::cli
