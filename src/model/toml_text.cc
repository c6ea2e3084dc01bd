#include "model/toml_text.h"

#include <algorithm>

namespace pocket::model {
namespace {

/// Whether a string may begin after `before`, the last character that is no space.
bool may_follow(char before) {
  return std::string_view("\n=,.[{").find(before) != std::string_view::npos;
}

/// The end of the string or comment that begins at `at`; `at` where none does. A string that is
/// never closed ends where the parser gives up on it: at the end of its line, or of the text.
size_t skip(std::string_view text, size_t at, char before) {
  if (text[at] == '#') return std::min(text.find('\n', at), text.size());
  const char quote = text[at];
  if ((quote != '"' && quote != '\'') || !may_follow(before)) return at;
  const std::string three(3, quote);
  const bool long_string = text.substr(at, 3) == three;
  at += long_string ? 3 : 1;
  for (; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      at += 1;
    } else if (long_string && text.substr(at, 3) == three) {
      at += 3;
      // Up to two quotes may stand before the three that close it.
      for (int more = 0; more < 2 && at < text.size() && text[at] == quote; ++more) at += 1;
      return at;
    } else if (!long_string && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    }
  }
  return text.size();
}

}  // namespace

Result<void> check_toml_text(std::string_view text, const std::string& path) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  size_t at = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  char before = '\n';
  while (at < text.size()) {
    const size_t after = skip(text, at, before);
    if (after > at) {
      before = text[after - 1];
      at = after;
      continue;
    }
    if (static_cast<unsigned char>(text[at]) >= 0x80) {
      const auto line = 1 + std::ranges::count(text.substr(0, at), '\n');
      return Error{
          POCKET_INVALID_ARGUMENT,
          path + ":" + std::to_string(line) +
              ": a character beyond ASCII outside of a string or comment: put it in quotes"};
    }
    if (text[at] != ' ' && text[at] != '\t' && text[at] != '\r') before = text[at];
    at += 1;
  }
  return ok_result();
}

}  // namespace pocket::model
