#include "cli/audit/trail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pocket::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kBlock = 65536;

/// Bytes of the file from `from` to `to`, fewer where it ends before.
Result<std::string> read_range(int file, uint64_t from, uint64_t to) {
  std::string bytes(to - from, '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::pread(file, bytes.data() + filled, bytes.size() - filled,
                                  static_cast<off_t>(from + filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("reading the audit trail", errno);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

/// Where the value that begins at `from` ends: a text in quotes, or a word.
size_t end_of_value(std::string_view line, size_t from) {
  if (from >= line.size() || line[from] != '"') return std::min(line.find(' ', from), line.size());
  for (size_t at = from + 1; at < line.size(); ++at) {
    if (line[at] == '\\') {
      ++at;
    } else if (line[at] == '"') {
      return at + 1;
    }
  }
  return line.size();
}

/// "TIME EVENT key=value ...": numbers and texts in quotes are JSON's, other words are texts.
std::optional<json> parse_text(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t second = first == line.npos ? first : line.find(' ', first + 1);
  if (second == line.npos) return std::nullopt;
  json record = {{"time", line.substr(0, first)},
                 {"event", line.substr(first + 1, second - first - 1)}};
  for (size_t at = second + 1; at < line.size();) {
    const size_t equals = line.find('=', at);
    if (equals == line.npos) return std::nullopt;
    const size_t end = end_of_value(line, equals + 1);
    const std::string value(line.substr(equals + 1, end - equals - 1));
    json parsed = json::parse(value, nullptr, /*allow_exceptions=*/false);
    record[std::string(line.substr(at, equals - at))] =
        parsed.is_string() || parsed.is_number() ? std::move(parsed) : json(value);
    at = end + 1;
  }
  return record;
}

/// A field as text that holds nothing but printable ASCII.
std::string field(const json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end()) return "-";
  std::string text = found->dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  if (!found->is_string()) return text;
  text = text.substr(1, text.size() - 2);
  std::erase(text, '\x7f');
  return text.empty() ? "-" : text;
}

}  // namespace

std::optional<json> parse_trail_line(std::string_view line) {
  auto record = line.starts_with('{')
                    ? std::optional(json::parse(line, nullptr, /*allow_exceptions=*/false))
                    : parse_text(line);
  if (!record || !record->is_object() || !record->contains("kind")) return std::nullopt;
  return record;
}

std::string trail_text(const json& record) {
  const auto get = [&](const char* name) { return field(record, name); };
  std::string text = fmt::format("{}  {:10}  {:18}  {:16} {:>6}  ", get("time"), get("kind"),
                                 get("event") == "left_out" ? "left out" : get("status"),
                                 get("tenant"), get("count"));
  if (!record.contains("why")) return text + "more than is written";
  return text + fmt::format("{} (process {}, user {}, {}): {}: {}", get("client"), get("pid"),
                            get("uid"), get("group"), get("what"), get("why"));
}

Result<Trail> Trail::open(const std::string& path) {
  Trail trail(path);
  POCKET_RETURN_IF_ERROR(trail.open_file());
  return trail;
}

Result<void> Trail::open_file() {
  UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.valid()) {
    return errno_error(fmt::format("opening the audit trail '{}'", path_), errno);
  }
  file_ = std::move(file);
  read_ = 0;
  return ok_result();
}

Result<Trail::Records> Trail::newest(size_t most, const Wanted& wanted) {
  struct stat now {};
  if (::fstat(file_.get(), &now) != 0) return errno_error("reading the audit trail", errno);
  Records records;   // the newest first
  std::string rest;  // the end of a line that begins before it
  bool last = true;
  for (auto end = static_cast<uint64_t>(now.st_size); end > 0;) {
    const uint64_t start = end - std::min(end, kBlock);
    POCKET_ASSIGN_OR_RETURN(std::string text, read_range(file_.get(), start, end));
    text += rest;
    if (last) {  // a line without an end is being written
      const size_t whole = text.rfind('\n');
      text.resize(whole == text.npos ? 0 : whole);
      if (whole == text.npos && start > 0) {
        return Error{POCKET_DATA_LOSS,
                     fmt::format("'{}' is no audit trail: it has no lines", path_)};
      }
      read_ = whole == text.npos ? 0 : start + whole + 1;
      last = false;
    }
    while (records.size() < most) {
      const size_t before = text.rfind('\n');
      if (before == text.npos && start > 0) break;
      const auto from = before == text.npos ? 0 : before + 1;
      auto record = parse_trail_line(std::string_view(text).substr(from));
      if (record && wanted(*record)) records.push_back(std::move(*record));
      text.resize(before == text.npos ? 0 : before);
      if (before == text.npos) break;
    }
    if (records.size() >= most) break;
    rest = std::move(text);
    end = start;
  }
  std::ranges::reverse(records);
  return records;
}

Result<Trail::Records> Trail::rest(const Wanted& wanted) {
  Records records;
  struct stat now {};
  if (::fstat(file_.get(), &now) != 0) return errno_error("reading the audit trail", errno);
  const auto size = static_cast<uint64_t>(now.st_size);
  if (size < read_) read_ = 0;  // it was emptied
  POCKET_ASSIGN_OR_RETURN(const std::string text, read_range(file_.get(), read_, size));
  size_t from = 0;
  for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n', from)) {
    auto record = parse_trail_line(std::string_view(text).substr(from, end - from));
    if (record && wanted(*record)) records.push_back(std::move(*record));
    from = end + 1;
  }
  read_ += from;
  return records;
}

Result<Trail::Records> Trail::next(const Wanted& wanted) {
  struct stat named {
  }, own{};
  const bool there = ::stat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &own) == 0;
  const bool moved = there && (named.st_ino != own.st_ino || named.st_dev != own.st_dev);
  POCKET_ASSIGN_OR_RETURN(Records records, rest(wanted));
  if (!moved) return records;
  POCKET_RETURN_IF_ERROR(open_file());
  POCKET_ASSIGN_OR_RETURN(Records more, rest(wanted));
  std::ranges::move(more, std::back_inserter(records));
  return records;
}

}  // namespace pocket::cli
