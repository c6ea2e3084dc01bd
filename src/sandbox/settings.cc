#include "sandbox/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

namespace pocket::sandbox {
namespace {

constexpr std::array<std::string_view, kProtections> kNames = {
    "user",   "capabilities", "no_new_privileges", "network", "ipc",
    "mounts", "processes",    "syscalls",          "limits",  "dumps"};

std::optional<Protection> find_protection(std::string_view name) {
  for (const Protection protection : kAllProtections) {
    if (name_of(protection) == name) return protection;
  }
  return std::nullopt;
}

/// Calls `take` for each part of `text`; stops at the first failure.
template <typename Take>
Result<void> for_each_part(std::string_view text, char separator, Take take) {
  while (!text.empty()) {
    const size_t end = text.find(separator);
    const std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (!part.empty()) POCKET_RETURN_IF_ERROR(take(part));
  }
  return ok_result();
}

Error unknown(std::string_view part) {
  return Error{POCKET_INVALID_ARGUMENT,
               fmt::format("'{}' is no protection of a runner; there are: {}", part,
                           fmt::join(kNames, ", "))};
}

}  // namespace

std::string_view name_of(Protection protection) { return kNames[static_cast<size_t>(protection)]; }

Result<Mode> parse_mode(std::string_view text) {
  if (text == "auto") return Mode::kAuto;
  if (text == "require") return Mode::kRequire;
  if (text == "off") return Mode::kOff;
  return Error{POCKET_INVALID_ARGUMENT,
               fmt::format("'{}' is not \"auto\", \"require\" or \"off\"", text)};
}

std::string modes_text(const Settings& settings) {
  std::string text;
  for (const Protection protection : kAllProtections) {
    const Mode mode = settings.mode(protection);
    if (mode == Mode::kAuto) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name_of(protection),
                        mode == Mode::kOff ? "off" : "require");
  }
  return text;
}

Result<void> parse_modes(std::string_view text, Settings& settings) {
  return for_each_part(text, ',', [&](std::string_view part) -> Result<void> {
    const size_t equals = part.find('=');
    const auto protection = find_protection(part.substr(0, equals));
    if (!protection || equals == std::string_view::npos) return unknown(part);
    POCKET_ASSIGN_OR_RETURN(const Mode mode, parse_mode(part.substr(equals + 1)));
    settings.set(*protection, mode);
    return ok_result();
  });
}

std::string Report::text() const {
  std::string text;
  for (const Protection protection : kAllProtections) {
    const Outcome& outcome = of(protection);
    text += fmt::format("{} {}\n", name_of(protection), outcome.on ? "on" : outcome.why_not);
  }
  return text;
}

Result<Report> Report::parse(std::string_view text) {
  Report report;
  size_t seen = 0;
  POCKET_RETURN_IF_ERROR(for_each_part(text, '\n', [&](std::string_view line) -> Result<void> {
    const size_t space = line.find(' ');
    const auto protection = find_protection(line.substr(0, space));
    if (!protection || space == std::string_view::npos) return unknown(line);
    const std::string_view rest = line.substr(space + 1);
    report.of(*protection) = {rest == "on", rest == "on" ? std::string() : std::string(rest)};
    ++seen;
    return ok_result();
  }));
  if (seen == kProtections) return report;
  return Error{POCKET_DATA_LOSS,
               fmt::format("a report of {} protections instead of {}", seen, kProtections)};
}

std::vector<std::string> missing(const Settings& settings, const Report& report) {
  std::vector<std::string> lines;
  for (const Protection protection : kAllProtections) {
    const Outcome& outcome = report.of(protection);
    if (!settings.wants(protection) || outcome.on) continue;
    lines.push_back(fmt::format("{}: {}", name_of(protection), outcome.why_not));
  }
  return lines;
}

Result<void> check_required(const Settings& settings, const Report& report) {
  std::vector<std::string> lines;
  for (const Protection protection : kAllProtections) {
    const Outcome& outcome = report.of(protection);
    if (settings.mode(protection) != Mode::kRequire || outcome.on) continue;
    lines.push_back(fmt::format("{} ({})", name_of(protection), outcome.why_not));
  }
  if (lines.empty()) return ok_result();
  return Error{POCKET_FAILED_PRECONDITION,
               fmt::format("this host does not give runners what [sandbox] of the configuration "
                           "requires: {}; say \"auto\" to do without",
                           fmt::join(lines, "; "))};
}

}  // namespace pocket::sandbox
