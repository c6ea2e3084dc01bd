#include "cli/run/amounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace pocket::cli {
namespace {

constexpr uint64_t kMinimumMemory = 1 << 20;
constexpr double kMaximumMemory = 0x1p62;
constexpr double kMinimumCpus = 0.01;  // the kernel takes no quota below 1 ms in 100 ms
constexpr int kMaximumCpus = 4096;

Error bad(const std::string& what, const std::string& text, const std::string& wanted) {
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("{} '{}' is not {}", what, text, wanted)};
}

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// A plain decimal number (no sign, exponent, "nan" or "inf") that ends where the text does or,
/// with `rest`, where the number does.
bool decimal(std::string_view text, double& value, std::string_view* rest = nullptr) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  const bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
  if (parsed.ec != std::errc{} || !digit_first || !std::isfinite(value)) return false;
  if (rest == nullptr) return parsed.ptr == end;
  *rest = std::string_view(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  return true;
}

}  // namespace

Result<uint64_t> parse_memory(const std::string& text) {
  const std::string wanted = "a size of at least 1m such as 128m or 1.5g (b, k, m or g)";
  double value = 0;
  std::string_view unit;
  if (!decimal(text, value, &unit)) return bad("memory", text, wanted);
  if (unit.size() > 1) return bad("memory", text, wanted);
  switch (unit.empty() ? 'b' : unit[0] | 0x20) {
    case 'b':
      break;
    case 'k':
      value *= 0x1p10;
      break;
    case 'm':
      value *= 0x1p20;
      break;
    case 'g':
      value *= 0x1p30;
      break;
    default:
      return bad("memory", text, wanted);
  }
  if (value < static_cast<double>(kMinimumMemory) || value > kMaximumMemory) {
    return bad("memory", text, wanted);
  }
  return static_cast<uint64_t>(value);
}

Result<double> parse_cpus(const std::string& text) {
  double value = 0;
  if (!decimal(text, value) || value < kMinimumCpus || value > kMaximumCpus) {
    return bad("cpus", text,
               fmt::format("a number of processors from {} to {}", kMinimumCpus, kMaximumCpus));
  }
  return value;
}

Result<std::vector<int>> parse_cpu_list(const std::string& text) {
  const std::string wanted = "a list of processors such as 0-1,3";
  std::vector<int> list;
  const char* at = text.data();
  const char* end = at + text.size();
  const auto number = [&](int& value) {
    if (at == end || *at < '0' || *at > '9') return false;
    const auto parsed = std::from_chars(at, end, value);
    at = parsed.ptr;
    return parsed.ec == std::errc{} && value < kMaximumCpus;
  };
  do {
    int first = 0;
    if (!number(first)) return bad("index", text, wanted);
    int last = first;
    if (at != end && *at == '-' && (++at, !number(last))) return bad("index", text, wanted);
    if (last < first || (at != end && *at != ',')) return bad("index", text, wanted);
    for (int cpu = first; cpu <= last; ++cpu) list.push_back(cpu);
  } while (at++ != end);
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

Result<void> check_run_name(const std::string& text) {
  const auto in_name = [](char c) {
    return letter_or_digit(c) || c == '.' || c == '_' || c == '-';
  };
  if (text.empty() || text.size() > 64 || !letter_or_digit(text[0]) ||
      !std::all_of(text.begin(), text.end(), in_name)) {
    return bad("name", text,
               "a name: letters, digits, '.', '_' and '-' after a letter or digit, at most 64");
  }
  return ok_result();
}

Result<void> check_environment(const std::string& text) {
  const size_t equals = text.find('=');
  const auto in_key = [](char c) { return letter_or_digit(c) || c == '_'; };
  if (equals == std::string::npos || equals == 0 || (text[0] >= '0' && text[0] <= '9') ||
      !std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(equals), in_key)) {
    return bad("env", text, "KEY=VALUE");
  }
  return ok_result();
}

std::string memory_text(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 0x1p20);
}

}  // namespace pocket::cli
