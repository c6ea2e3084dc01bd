#include "daemon/config_sandbox.h"

#include <fmt/format.h>

#include <filesystem>

#include "model/toml_reader.h"

namespace pocket::daemon {
namespace {

using sandbox::Mode;
using sandbox::Protection;

/// The mode of one protection; what is no mode is a user's name where that makes sense.
void read_protection(model::TomlReader& reader, const toml::table& table, Protection protection,
                     sandbox::Settings& settings) {
  const std::string key(sandbox::name_of(protection));
  std::string text;
  reader.read<std::string>(key.c_str(), "\"auto\", \"require\" or \"off\"", text);
  if (text.empty()) return;
  const auto mode = sandbox::parse_mode(text);
  if (mode.ok()) {
    settings.set(protection, *mode);
  } else if (protection == Protection::kUser) {
    settings.user = text;
    settings.set(protection, Mode::kRequire);  // who names one does not want another
  } else {
    reader.fail(*table.get(key), fmt::format("'{}': {}", key, mode.error().message));
  }
}

void read_paths(model::TomlReader& reader, const toml::table& table, const char* key,
                std::vector<std::string>& paths) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  paths.clear();
  for (size_t index = 0; list != nullptr && index < list->size(); ++index) {
    const auto path = (*list)[index].value_exact<std::string>();
    if (!path || !std::filesystem::path(*path).is_absolute()) {
      list = nullptr;
    } else {
      paths.push_back(*path);
    }
  }
  if (list == nullptr) {
    reader.fail(*node, fmt::format("'{}' must be a list of absolute paths", key));
  }
}

}  // namespace

Result<void> read_sandbox(const toml::table& table, const std::string& path, Config& config) {
  model::TomlReader reader(table, path);
  std::vector<std::string_view> keys = {"all", "show"};
  for (const Protection protection : sandbox::kAllProtections) {
    keys.push_back(sandbox::name_of(protection));
  }
  reader.refuse_unknown_keys(keys);
  std::string all = "auto";
  reader.read<std::string>("all", "\"auto\", \"require\" or \"off\"", all);
  if (const auto mode = sandbox::parse_mode(all); mode.ok()) {
    config.sandbox.modes.fill(*mode);
  } else {
    reader.fail(*table.get("all"), fmt::format("'all': {}", mode.error().message));
  }
  for (const Protection protection : sandbox::kAllProtections) {
    read_protection(reader, table, protection, config.sandbox);
  }
  read_paths(reader, table, "show", config.sandbox_show);
  return reader.result();
}

}  // namespace pocket::daemon
