#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/toml.h"
#include "model/repository.h"
#include "model/toml_reader.h"

namespace pocket::model {
namespace {

constexpr std::array<std::string_view, 17> kKeys = {
    "engine", "threads", "concurrency", "precision", "warmup", "keep_alive_seconds",
    "group",  "sha256",  "description", "licence",   "source", "options",
    "labels", "image",   "metadata",    "public",    "uses"};
constexpr std::array<std::string_view, 6> kImageKeys = {"layout", "channels", "mean",
                                                        "scale",  "fit",      "filter"};

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The texts of a table of the entry, sorted by key.
void read_texts(const toml::table& entry, const char* name, TomlReader& reader, Pairs& pairs) {
  const toml::node* node = entry.get(name);
  if (node == nullptr) return;
  if (!node->is_table()) {
    reader.fail(*node, fmt::format("'{}' must be a table", name));
    return;
  }
  for (const auto& [key, value] : *node->as_table()) {
    if (const auto text = value.value_exact<std::string>()) {
      pairs.emplace_back(std::string(key.str()), *text);
    } else {
      reader.fail(value, fmt::format("'{}' in [{}] must be a text in quotes", key.str(), name));
    }
  }
  std::sort(pairs.begin(), pairs.end());
}

/// Each a model's name, or name@version.
void read_uses(const toml::table& entry, TomlReader& reader, std::vector<std::string>& uses) {
  const toml::node* node = entry.get("uses");
  if (node == nullptr) return;
  constexpr size_t kMostUses = 32;
  const toml::array* values = node->as_array();
  if (values == nullptr || values->size() > kMostUses) {
    reader.fail(*node, fmt::format("'uses' must be a list of at most {} models", kMostUses));
    return;
  }
  for (const auto& value : *values) {
    const auto text = value.value_exact<std::string>();
    if (!text || !is_model_name(text->substr(0, text->find('@')))) {
      reader.fail(value, "'uses' must hold names of models, each \"name\" or \"name@version\"");
      return;
    }
    uses.push_back(*text);
  }
}

void read_word(const toml::table& image, const char* key, std::span<const std::string_view> known,
               TomlReader& reader, Pairs& metadata) {
  const toml::node* node = image.get(key);
  if (node == nullptr) return;
  const auto text = node->value_exact<std::string>();
  if (!text || std::find(known.begin(), known.end(), *text) == known.end()) {
    reader.fail(*node, fmt::format("'{}' must be one of {}", key, fmt::join(known, ", ")));
    return;
  }
  metadata.emplace_back(fmt::format("image.{}", key), *text);
}

/// Three numbers, one for each channel as the model takes them.
void read_triple(const toml::table& image, const char* key, TomlReader& reader, Pairs& metadata) {
  const toml::node* node = image.get(key);
  if (node == nullptr) return;
  std::string text;
  const toml::array* values = node->as_array();
  for (size_t index = 0; values != nullptr && index < values->size(); ++index) {
    const auto value = values->get(index)->value<double>();
    if (!value) values = nullptr;
    if (value) text += fmt::format("{}{}", index == 0 ? "" : " ", *value);
  }
  if (values == nullptr || values->size() != 3) {
    reader.fail(*node, fmt::format("'{}' must be three numbers", key));
    return;
  }
  metadata.emplace_back(fmt::format("image.{}", key), text);
}

void read_image(const toml::table& entry, const std::string& path, TomlReader& reader,
                Pairs& metadata) {
  const toml::node* node = entry.get("image");
  if (node == nullptr) return;
  if (!node->is_table()) {
    reader.fail(*node, "'image' must be a table");
    return;
  }
  const toml::table& image = *node->as_table();
  TomlReader keys(image, path);
  keys.refuse_unknown_keys(kImageKeys);
  static constexpr std::array<std::string_view, 2> kLayouts = {"NCHW", "NHWC"};
  static constexpr std::array<std::string_view, 2> kChannels = {"RGB", "BGR"};
  static constexpr std::array<std::string_view, 3> kFits = {"center-crop", "stretch", "letterbox"};
  static constexpr std::array<std::string_view, 2> kFilters = {"smooth", "bilinear"};
  read_word(image, "layout", kLayouts, keys, metadata);
  read_word(image, "channels", kChannels, keys, metadata);
  read_word(image, "fit", kFits, keys, metadata);
  read_word(image, "filter", kFilters, keys, metadata);
  read_triple(image, "mean", keys, metadata);
  read_triple(image, "scale", keys, metadata);
  reader.adopt(keys);
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
  reader.read<bool>("public", "true or false", manifest.is_public);
  reader.read<std::string>("group", "a name", manifest.group);
  reader.read<std::string>("sha256", "64 hexadecimal digits", manifest.sha256);
  reader.read<std::string>("description", "a text", manifest.description);
  reader.read<std::string>("licence", "a text", manifest.licence);
  reader.read<std::string>("source", "a text", manifest.source);
  reader.read_seconds("keep_alive_seconds", manifest.keep_alive_seconds);
  if (manifest.precision != "float32" && manifest.precision != "auto") {
    reader.fail(*table.get("precision"), "'precision' must be 'float32' or 'auto'");
  }
  reader.read<std::string>("labels", "the name of a file", manifest.labels);
  read_uses(table, reader, manifest.uses);
  read_texts(table, "options", reader, manifest.options);
  read_texts(table, "metadata", reader, manifest.metadata);
  read_image(table, path, reader, manifest.metadata);
  POCKET_RETURN_IF_ERROR(reader.result());
  return manifest;
}

}  // namespace pocket::model
