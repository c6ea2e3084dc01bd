#include "engine/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/engine_names.h"

namespace pocket::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTestPlugins = TEST_PLUGIN_DIR;
constexpr const char* kEngines = ENGINE_DIR;

pocket_status refusal(const char* name, const char* text) {
  auto plugin = Plugin::load(kTestPlugins, name);
  EXPECT_FALSE(plugin.ok()) << name;
  if (plugin.ok()) return POCKET_OK;
  EXPECT_THAT(plugin.error().message, HasSubstr(text));
  return plugin.error().code;
}

TEST(Plugin, NullEngineLoads) {
  auto plugin = Plugin::load(kEngines, "null");
  ASSERT_TRUE(plugin.ok()) << plugin.error().message;
  EXPECT_STREQ(plugin->api().name, "null");
  EXPECT_EQ(plugin->api().abi_version, POCKET_ENGINE_ABI_VERSION);
}

TEST(Plugin, NameIsNoPath) {
  for (const char* name : {"", "../null", "a/b", "Null", "a b"}) {
    EXPECT_EQ(refusal(name, "is not an engine name"), POCKET_INVALID_ARGUMENT) << name;
  }
  EXPECT_EQ(refusal(std::string(65, 'a').c_str(), "is not an engine name"),
            POCKET_INVALID_ARGUMENT);
}

TEST(Plugin, UnknownNameListsWhatThereIs) {
  EXPECT_EQ(refusal("nowhere", "engines there: hollow, mute, old, short"), POCKET_NOT_FOUND);
  auto plugin = Plugin::load("/nonexistent", "null");
  ASSERT_FALSE(plugin.ok());
  EXPECT_EQ(plugin.error().code, POCKET_NOT_FOUND);
}

TEST(Plugin, AnotherInterfaceIsAVersionMismatch) {
  EXPECT_EQ(refusal("old", "speaks engine interface 2, this Pocket speaks 1"),
            POCKET_VERSION_MISMATCH);
  EXPECT_EQ(refusal("short", "lacks required functions"), POCKET_VERSION_MISMATCH);
  EXPECT_EQ(refusal("hollow", "lacks required functions"), POCKET_VERSION_MISMATCH);
}

TEST(Plugin, LibraryWithoutEntryIsNoPlugin) {
  EXPECT_EQ(refusal("mute", "no symbol pocket_engine_entry"), POCKET_UNIMPLEMENTED);
}

TEST(Plugin, FileThatIsNoLibraryCarriesTheLoadersWords) {
  std::string folder = (std::filesystem::temp_directory_path() / "pocket-engines-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/libpocket-engine-text.so") << "not a library";
  auto plugin = Plugin::load(folder, "text");
  const auto engines = list_engines(folder);
  std::filesystem::remove_all(folder);
  ASSERT_FALSE(plugin.ok());
  EXPECT_EQ(plugin.error().code, POCKET_UNIMPLEMENTED);
  EXPECT_THAT(plugin.error().message, HasSubstr("libpocket-engine-text.so"));
  EXPECT_THAT(engines, ElementsAre("text"));
}

TEST(Plugin, MissingFolderHasNoEngines) { EXPECT_TRUE(list_engines("/nonexistent").empty()); }

}  // namespace
}  // namespace pocket::engine
