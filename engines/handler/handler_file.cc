#include "handler_file.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <span>

#include "base/toml.h"

namespace pocket::handler_engine {
namespace {

namespace fs = std::filesystem;

Error invalid(const std::string& path, const std::string& text) {
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("{}: {}", path, text)};
}

Result<void> read_number(const std::string& key, const std::string& value, uint64_t most,
                         uint64_t unit, uint64_t& target) {
  uint64_t number = 0;
  const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (status != std::errc() || end != value.data() + value.size() || number > most) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("option '{}' must be a whole number from 0 to {}, '{}' was given", key,
                             most, value)};
  }
  target = number * unit;
  return ok_result();
}

}  // namespace

Result<HandlerFile> read_handler_file(const std::string& path, const std::string& plugin_folder) {
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{} line {}: {}", path, error.source().begin.line, error.description())};
  }
  HandlerFile file;
  file.folder = fs::path(path).parent_path().string();
  for (const auto& [key, node] : table) {
    const auto text = node.value_exact<std::string>();
    const bool library = key.str() == "library";
    if (!library && key.str() != "standard") {
      return invalid(
          path, fmt::format("unknown key '{}': a handler has 'library' or 'standard'", key.str()));
    }
    if (!text || text->empty() || fs::path(*text).has_parent_path()) {
      return invalid(path, fmt::format("'{}' must be {}", key.str(),
                                       library ? "the name of a file in this folder"
                                               : "the name of a handler that comes with Pocket"));
    }
    if (!file.library.empty()) return invalid(path, "it names two libraries");
    file.library = library ? file.folder + "/" + *text
                           : fmt::format("{}/libpocket-handler-{}.so", plugin_folder, *text);
  }
  if (file.library.empty()) {
    return invalid(path, "it names no library: library = \"NAME.so\", or standard = \"NAME\"");
  }
  std::error_code ignored;
  if (!fs::exists(file.library, ignored)) {
    return Error{POCKET_NOT_FOUND, fmt::format("{}: there is no file '{}'", path, file.library)};
  }
  return file;
}

Result<HostOptions> read_options(const pocket_engine_load_options& options) {
  constexpr uint64_t kDayMs = 86'400'000;
  HostOptions read;
  for (const auto& option : std::span(options.options, options.option_count)) {
    const std::string key = option.key;
    const std::string value = option.value;
    if (key == "grace_ms") {
      POCKET_RETURN_IF_ERROR(read_number(key, value, kDayMs, 1'000'000, read.grace_ns));
    } else if (key == "call_limit_ms") {
      POCKET_RETURN_IF_ERROR(read_number(key, value, kDayMs, 1'000'000, read.call_limit_ns));
    } else if (key == "memory_mb") {
      POCKET_RETURN_IF_ERROR(read_number(key, value, 1 << 24, 1 << 20, read.memory_bytes));
    } else if (key != "precision" && key != "cache_dir") {
      read.others.emplace_back(key, value);
    }
  }
  return read;
}

}  // namespace pocket::handler_engine
