#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "model/repository.h"
#include "model/toml_reader.h"

namespace pocket::model {
namespace {

constexpr std::array<std::string_view, 12> kKeys = {
    "engine", "threads", "concurrency", "precision", "warmup", "keep_alive_seconds",
    "group",  "sha256",  "description", "licence",   "source", "options"};

void read_options(const toml::table& table, TomlReader& reader, Manifest& manifest) {
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
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kKeys);
  reader.read<std::string>("engine", "the name of an engine", manifest.engine);
  reader.read_count("threads", 1, 1024, manifest.threads);
  reader.read_count("concurrency", 1, 1024, manifest.concurrency);
  reader.read<std::string>("precision", "'float32' or 'auto'", manifest.precision);
  reader.read<bool>("warmup", "true or false", manifest.warmup);
  reader.read<std::string>("group", "a name", manifest.group);
  reader.read<std::string>("sha256", "64 hexadecimal digits", manifest.sha256);
  reader.read<std::string>("description", "a text", manifest.description);
  reader.read<std::string>("licence", "a text", manifest.licence);
  reader.read<std::string>("source", "a text", manifest.source);
  reader.read_seconds("keep_alive_seconds", manifest.keep_alive_seconds);
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
