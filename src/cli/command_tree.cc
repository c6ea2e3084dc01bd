#include "cli/command_tree.h"

namespace pocket::cli {
namespace {

void collect(const CLI::App& app, const std::string& path, std::vector<Command>& commands) {
  commands.push_back({path, &app});
  for (const auto* child : subcommands(app)) {
    collect(*child, path + " " + child->get_name(), commands);
  }
}

}  // namespace

std::vector<Command> collect_commands(const CLI::App& app, const std::string& path) {
  std::vector<Command> commands;
  collect(app, path, commands);
  return commands;
}

std::vector<const CLI::App*> subcommands(const CLI::App& app) {
  auto found = app.get_subcommands([](const CLI::App*) { return true; });
  std::erase_if(found, [](const CLI::App* child) { return child->get_name().empty(); });
  return found;
}

std::vector<std::string> flags(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const auto& name : option.get_snames()) names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

}  // namespace pocket::cli
