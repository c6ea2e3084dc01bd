// pocket completion, pocket man: written from the options themselves.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/command.h"

namespace pocket::cli {
namespace {

/// A command with its full name, "pocket service run".
struct Command {
  std::string path;
  const CLI::App* app;
};

std::vector<const CLI::App*> children(const CLI::App& app) {
  auto found = app.get_subcommands([](const CLI::App*) { return true; });
  std::erase_if(found, [](const CLI::App* child) { return child->get_name().empty(); });
  return found;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Command>& commands) {
  commands.push_back({path, &app});
  for (const auto* child : children(app)) collect(*child, path + " " + child->get_name(), commands);
}

std::vector<std::string> flags(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const auto& name : option.get_snames()) names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> words(const CLI::App& app) {
  std::vector<std::string> result;
  for (const auto* child : children(app)) result.push_back(child->get_name());
  for (const auto* option : app.get_options()) {
    for (auto& name : flags(*option)) result.push_back(std::move(name));
  }
  return result;
}

std::string bash(const std::vector<Command>& commands) {
  std::string deeper, cases;
  for (const auto& [path, app] : commands) {
    for (const auto* child : children(*app)) {
      deeper += fmt::format("{}\"{} {}\"", deeper.empty() ? "" : "|", path, child->get_name());
    }
    cases += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, fmt::join(words(*app), " "));
  }
  return fmt::format(
      "_pocket() {{\n"
      "  local path=pocket word words=\n"
      "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    case \"$path $word\" in\n"
      "      {}) path=\"$path $word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n{}  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -o default -F _pocket pocket\n",
      deeper, cases);
}

std::string fish_quote(std::string text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "'" + quoted + "'";
}

std::string fish(const std::vector<Command>& commands) {
  std::string text;
  for (const auto& [path, app] : commands) {
    std::string condition = "__fish_use_subcommand";
    if (path != "pocket") {
      condition.clear();
      std::string rest = path.substr(path.find(' ') + 1);
      while (!rest.empty()) {
        const size_t space = std::min(rest.find(' '), rest.size());
        condition += fmt::format("{}__fish_seen_subcommand_from {}",
                                 condition.empty() ? "" : "; and ", rest.substr(0, space));
        rest.erase(0, space + 1);
      }
    }
    for (const auto* child : children(*app)) {
      text += fmt::format("complete -c pocket -n {} -a {} -d {}\n", fish_quote(condition),
                          child->get_name(), fish_quote(child->get_description()));
    }
    for (const auto* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) {
        text += fmt::format("complete -c pocket -n {} -l {} -d {}\n", fish_quote(condition), name,
                            fish_quote(option->get_description()));
      }
    }
  }
  return text;
}

std::string roff(std::string text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\')
      escaped += "\\e";
    else if (c == '-')
      escaped += "\\-";
    else
      escaped += c;
  }
  return escaped.starts_with('.') || escaped.starts_with('\'') ? "\\&" + escaped : escaped;
}

/// One page with every command: generated, so that it cannot disagree with --help.
std::string man(const std::vector<Command>& commands) {
  std::string text = ".TH POCKET 1\n.SH NAME\npocket \\- " +
                     roff(commands.front().app->get_description()) + "\n.SH SYNOPSIS\n";
  for (const auto& [path, app] : commands) {
    if (!children(*app).empty()) continue;
    text += fmt::format(".B {}\n", roff(path));
    for (const auto* option : app->get_options()) {
      if (option->get_positional() && option->get_required()) {
        text += fmt::format(".I {}\n", roff(option->get_name(true)));
      }
    }
    text += "[options]\n.br\n";
  }
  text += ".SH COMMANDS\n";
  for (const auto& [path, app] : commands) {
    text += fmt::format(".SS {}\n{}\n", roff(path), roff(app->get_description()));
    for (const auto* option : app->get_options()) {
      const auto names = flags(*option);
      const std::string name =
          names.empty() ? option->get_name(true) : fmt::format("{}", fmt::join(names, ", "));
      text += fmt::format(".TP\n.B {}", roff(name));
      if (option->get_items_expected_max() > 0 && !names.empty()) {
        text += fmt::format(" {}", roff(option->get_type_name()));
      }
      text += fmt::format("\n{}\n", roff(option->get_description()));
    }
  }
  return text +
         ".SH EXIT STATUS\n0: done, 1: failed, 2: wrong usage.\n"
         ".SH ENVIRONMENT\n.TP\n.B POCKET_SOCKET\nSocket of the service.\n";
}

}  // namespace

void add_completion_command(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>();
  auto* completion =
      app.add_subcommand("completion", "Print the completion of a shell, e.g. for ~/.bashrc");
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&action, &app, shell] {
    action = [&app, shell]() -> Result<int> {
      std::vector<Command> commands;
      collect(app, "pocket", commands);
      if (*shell == "fish") {
        fmt::print("{}", fish(commands));
      } else {
        if (*shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
        fmt::print("{}", bash(commands));
      }
      return 0;
    };
  });
  auto* page = app.add_subcommand("man", "Print the manual page (pocket man | man -l -)");
  page->callback([&action, &app] {
    action = [&app]() -> Result<int> {
      std::vector<Command> commands;
      collect(app, "pocket", commands);
      fmt::print("{}", man(commands));
      return 0;
    };
  });
}

}  // namespace pocket::cli
