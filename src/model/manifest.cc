#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/nearest.h"
#include "model/repository.h"

namespace pocket::model {
namespace {

constexpr std::array<std::string_view, 12> kKeys = {
    "engine", "threads", "concurrency", "precision", "warmup", "keep_alive_seconds",
    "group",  "sha256",  "description", "licence",   "source", "options"};

/// Reads one key into `target`; the error names file, line, key and the wanted type.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& path) : table_(table), path_(path) {}

  template <typename T, typename Target>
  void read(const char* key, const char* wanted, Target& target) {
    const toml::node* node = table_.get(key);
    if (node == nullptr || failed_) return;
    if (const auto value = node->value_exact<T>()) {
      target = *value;
    } else {
      fail(*node, fmt::format("'{}' must be {}", key, wanted));
    }
  }

  void read_count(const char* key, std::optional<uint32_t>& target) {
    std::optional<int64_t> value;
    read<int64_t>(key, "a whole number from 1 to 1024", value);
    if (!value) return;
    if (*value < 1 || *value > 1024) {
      fail(*table_.get(key), fmt::format("'{}' must be a whole number from 1 to 1024", key));
    } else {
      target = static_cast<uint32_t>(*value);
    }
  }

  void fail(const toml::node& node, const std::string& text) {
    if (failed_) return;
    failed_ = true;
    error_ = Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("{} line {}: {}", path_, node.source().begin.line, text)};
  }
  Result<void> result() { return failed_ ? Result<void>(error_) : ok_result(); }

 private:
  const toml::table& table_;
  const std::string& path_;
  bool failed_ = false;
  Error error_;
};

void read_options(const toml::table& table, Reader& reader, Manifest& manifest) {
  const toml::table* options = table["options"].as_table();
  if (options == nullptr) return;
  for (const auto& [key, node] : *options) {
    if (const auto text = node.value_exact<std::string>()) {
      manifest.options.emplace_back(std::string(key.str()), *text);
    } else {
      reader.fail(node, fmt::format("option '{}' must be a text in quotes", key.str()));
    }
  }
  std::sort(manifest.options.begin(), manifest.options.end());
}

}  // namespace

Result<Manifest> parse_manifest(const std::string& text, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{} line {}: {}", path, error.source().begin.line, error.description())};
  }
  Manifest manifest;
  Reader reader(table, path);
  for (const auto& [key, node] : table) {
    if (std::find(kKeys.begin(), kKeys.end(), key.str()) == kKeys.end()) {
      const std::string nearest = nearest_word(key.str(), kKeys);
      reader.fail(node, fmt::format("unknown key '{}'{}", key.str(),
                                    nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
    }
  }
  reader.read<std::string>("engine", "the name of an engine", manifest.engine);
  reader.read_count("threads", manifest.threads);
  reader.read_count("concurrency", manifest.concurrency);
  reader.read<std::string>("precision", "'float32' or 'auto'", manifest.precision);
  reader.read<bool>("warmup", "true or false", manifest.warmup);
  reader.read<std::string>("group", "a name", manifest.group);
  reader.read<std::string>("sha256", "64 hexadecimal digits", manifest.sha256);
  reader.read<std::string>("description", "a text", manifest.description);
  reader.read<std::string>("licence", "a text", manifest.licence);
  reader.read<std::string>("source", "a text", manifest.source);
  if (const toml::node* node = table.get("keep_alive_seconds")) {
    manifest.keep_alive_seconds = node->value<double>();
    if (!manifest.keep_alive_seconds || *manifest.keep_alive_seconds < 0) {
      reader.fail(*node, "'keep_alive_seconds' must be a number >= 0 (0: for ever)");
    }
  }
  if (manifest.precision != "float32" && manifest.precision != "auto") {
    reader.fail(*table.get("precision"), "'precision' must be 'float32' or 'auto'");
  }
  if (table.contains("options") && !table["options"].is_table()) {
    reader.fail(*table.get("options"), "'options' must be a table");
  }
  read_options(table, reader, manifest);
  POCKET_RETURN_IF_ERROR(reader.result());
  return manifest;
}

}  // namespace pocket::model
