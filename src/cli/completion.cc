#include "cli/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pocket::cli {
namespace {

/// The full names of all commands but the program itself, each in double quotes.
std::vector<std::string> quoted_paths(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  for (size_t index = 1; index < commands.size(); ++index) {
    paths.push_back("\"" + commands[index].path + "\"");
  }
  return paths;
}

/// `text` in single quotes; `escaped` are the characters that need `escape` in front.
std::string single_quoted(const std::string& text, const std::string& escaped,
                          const std::string& escape) {
  std::string quoted;
  for (const char c : text) {
    if (escaped.find(c) != std::string::npos) quoted += escape;
    quoted += c;
  }
  return "'" + quoted + "'";
}

std::string fish_quoted(const std::string& text) { return single_quoted(text, "'\\", "\\"); }

/// "name:description" for zsh's _describe, which splits at the first plain colon.
std::string zsh_entry(const std::string& name, const std::string& description) {
  std::string escaped;
  for (const char c : name) escaped += c == ':' ? std::string("\\:") : std::string(1, c);
  std::string entry = escaped + ":" + description;
  for (size_t at = 0; (at = entry.find('\'', at)) != std::string::npos; at += 4) {
    entry.replace(at, 1, "'\\''");
  }
  return "'" + entry + "'";
}

std::vector<std::string> zsh_entries(const CLI::App& app) {
  std::vector<std::string> entries;
  for (const auto* child : subcommands(app)) {
    entries.push_back(zsh_entry(child->get_name(), child->get_description()));
  }
  for (const auto* option : app.get_options()) {
    for (const auto& flag : flags(*option)) {
      entries.push_back(zsh_entry(flag, option->get_description()));
    }
  }
  return entries;
}

}  // namespace

std::string bash_completion(const std::vector<Command>& commands) {
  std::string cases;
  for (const auto& [path, app] : commands) {
    std::vector<std::string> words;
    for (const auto* child : subcommands(*app)) words.push_back(child->get_name());
    for (const auto* option : app->get_options()) {
      for (auto& flag : flags(*option)) words.push_back(std::move(flag));
    }
    cases += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, fmt::join(words, " "));
  }
  return fmt::format(
      "_pocket() {{\n"
      "  local at=pocket word words=\n"
      "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    case \"$at $word\" in\n"
      "      {}) at=\"$at $word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$at\" in\n{}  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -o default -F _pocket pocket\n",
      fmt::join(quoted_paths(commands), "|"), cases);
}

std::string zsh_completion(const std::vector<Command>& commands) {
  std::string cases;
  for (const auto& [path, app] : commands) {
    cases += fmt::format("    (\"{}\")\n      found=({})\n      ;;\n", path,
                         fmt::join(zsh_entries(*app), "\n             "));
  }
  return fmt::format(
      "#compdef pocket\n"
      "_pocket() {{\n"
      "  local at=pocket word\n"
      "  local -a found\n"
      "  for word in \"${{(@)words[2,CURRENT-1]}}\"; do\n"
      "    case \"$at $word\" in\n"
      "      ({}) at=\"$at $word\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$at\" in\n{}  esac\n"
      "  _describe pocket found || _files\n"
      "}}\n"
      "if [ \"$funcstack[1]\" = \"_pocket\" ]; then\n"
      "  _pocket \"$@\"\n"
      "else\n"
      "  compdef _pocket pocket\n"
      "fi\n",
      fmt::join(quoted_paths(commands), "|"), cases);
}

std::string fish_completion(const std::vector<Command>& commands) {
  std::string text = fmt::format(
      "function __pocket_at\n"
      "  set -l at pocket\n"
      "  for word in (commandline -opc)[2..]\n"
      "    switch \"$at $word\"\n"
      "      case {}\n"
      "        set at \"$at $word\"\n"
      "    end\n"
      "  end\n"
      "  test \"$at\" = \"$argv[1]\"\n"
      "end\n",
      fmt::join(quoted_paths(commands), " "));
  for (const auto& [path, app] : commands) {
    const std::string here = fish_quoted("__pocket_at \"" + path + "\"");
    for (const auto* child : subcommands(*app)) {
      text += fmt::format("complete -c pocket -n {} -a {} -d {}\n", here, child->get_name(),
                          fish_quoted(child->get_description()));
    }
    for (const auto* option : app->get_options()) {
      std::string names;
      for (const auto& name : option->get_snames()) names += " -s " + name;
      for (const auto& name : option->get_lnames()) names += " -l " + name;
      if (names.empty()) continue;
      const char* takes_value = option->get_items_expected_min() > 0 ? " -r" : "";
      text += fmt::format("complete -c pocket -n {}{}{} -d {}\n", here, names, takes_value,
                          fish_quoted(option->get_description()));
    }
  }
  return text;
}

}  // namespace pocket::cli
