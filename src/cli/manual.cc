#include "cli/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace pocket::cli {
namespace {

/// Text that roff shows as it is.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      // A line that begins with a dot or a quote would be a request.
      const bool first = escaped.empty() || escaped.back() == '\n';
      if (first && (c == '.' || c == '\'')) escaped += "\\&";
      escaped += c;
    }
  }
  return escaped;
}

/// "pocket: one ML runtime" -> "one ML runtime": the name stands before it already.
std::string description(const Command& command) {
  const std::string text = command.app->get_description();
  const std::string prefix = command.path + ": ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

/// "INT:INT in [1 - 9]" -> "INT in [1 - 9]".
std::string value_name(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  const size_t colon = name.find(':');
  return colon == std::string::npos ? name : name.substr(colon + 1);
}

std::string synopsis(const Command& command) {
  std::string text = fmt::format(".B {}\n", roff(command.path));
  for (const auto* option : command.app->get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = roff(option->get_name(true));
    text += option->get_required() ? fmt::format(".I {}\n", name) : fmt::format("[{}]\n", name);
  }
  return text + (subcommands(*command.app).empty() ? "[options]\n" : "COMMAND [options]\n");
}

std::string options(const CLI::App& app) {
  std::string text;
  for (const auto* option : app.get_options()) {
    const auto names = flags(*option);
    const std::string name =
        names.empty() ? option->get_name(true) : fmt::format("{}", fmt::join(names, ", "));
    text += fmt::format(".TP\n\\fB{}\\fR", roff(name));
    if (option->get_items_expected_max() > 0 && !names.empty()) {
      text += fmt::format(" {}", roff(value_name(*option)));
    }
    text += fmt::format("\n{}\n", roff(option->get_description()));
  }
  return text;
}

}  // namespace

std::string page_name(const Command& command) {
  std::string name = command.path;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string manual_page(const Command& command, const std::vector<Command>& commands,
                        const std::string& version) {
  std::string title = page_name(command);
  std::transform(title.begin(), title.end(), title.begin(), ::toupper);
  std::string text = fmt::format(
      ".TH {} 1 \"\" \"Pocket {}\" \"Pocket\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n{}", roff(title),
      roff(version), roff(page_name(command)), roff(description(command)), synopsis(command));
  if (const std::string own = options(*command.app); !own.empty()) {
    text += ".SH OPTIONS\n" + own;
  }
  std::string below;
  for (const auto& other : commands) {
    if (!other.path.starts_with(command.path + " ")) continue;
    below +=
        fmt::format(".TP\n\\fB{}\\fR(1)\n{}\n", roff(page_name(other)), roff(description(other)));
  }
  if (!below.empty()) text += ".SH COMMANDS\n" + below;
  text +=
      ".SH EXIT STATUS\n0: done, 1: failed, 2: wrong usage.\n"
      ".SH ENVIRONMENT\n.TP\n.B POCKET_SOCKET\nSocket of the service.\n";
  if (const size_t space = command.path.rfind(' '); space != std::string::npos) {
    const Command above{command.path.substr(0, space), nullptr};
    text += fmt::format(".SH SEE ALSO\n.BR {} (1)\n", roff(page_name(above)));
  }
  return text;
}

}  // namespace pocket::cli
