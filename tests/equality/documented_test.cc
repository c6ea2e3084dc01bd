// docs/engines.md and the engines agree on the options there are.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <regex>
#include <set>

#include "cases.h"
#include "engine/model.h"
#include "engine/plugin.h"
#include "fixture.h"

namespace pocket::equality {
namespace {

/// The words in backquotes.
std::set<std::string> quoted(const std::string& text) {
  static const std::regex pattern("`([a-z_]+)`");
  std::set<std::string> words;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    words.insert((*at)[1]);
  }
  return words;
}

/// Keys of the rows `| key | engines | ...` below "## Options" that are for this engine.
std::set<std::string> documented_options(const std::string& engine) {
  std::ifstream file(POCKET_DOCS_FILE);
  std::set<std::string> keys;
  bool options = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) options = line == "## Options";
    const size_t second = line.find('|', 1);
    if (!options || !line.starts_with("| `") || second == std::string::npos) continue;
    const std::string engines = line.substr(second, line.find('|', second + 1) - second);
    if (engines.find("all") != std::string::npos || quoted(engines).contains(engine)) {
      keys.merge(quoted(line.substr(0, second)));
    }
  }
  return keys;
}

/// What the engine says it knows when it is given a key that it does not: "... knows a, b and c".
std::set<std::string> known_options(const std::string& engine, const std::string& model) {
  auto plugin = engine::Plugin::load(POCKET_ENGINE_DIR, engine);
  EXPECT_TRUE(plugin.ok());
  engine::LoadOptions options;
  options.path = model;
  options.options = {{"no_such_option", "1"}};
  const auto loaded = engine::Model::load(*plugin, options);
  EXPECT_FALSE(loaded.ok());
  if (loaded.ok()) return {};
  EXPECT_EQ(loaded.error().code, POCKET_INVALID_ARGUMENT);
  const std::string& message = loaded.error().message;
  EXPECT_NE(message.find("'no_such_option'"), std::string::npos) << message;
  std::string list = message.substr(message.find(" knows ") + 7);
  list = std::regex_replace(list, std::regex(" and "), ", ");
  std::set<std::string> keys;
  static const std::regex word("[a-z_]+");
  for (std::sregex_iterator at(list.begin(), list.end(), word), end; at != end; ++at) {
    keys.insert(at->str());
  }
  return keys;
}

TEST(Documented, OptionsOfEachEngine) {
  const std::string repository = test_models_root() + "/repository/";
  for (const auto& engine : model_engines(POCKET_ENGINE_DIR)) {
    const std::string model = engine == "null" ? "echo_int8/1/model.null" : "scalar/1/model.onnx";
    EXPECT_EQ(documented_options(engine), known_options(engine, repository + model)) << engine;
  }
}

}  // namespace
}  // namespace pocket::equality
