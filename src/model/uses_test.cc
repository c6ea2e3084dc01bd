// Models that use other models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "model/repository.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class UsesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "pocket-uses-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }
  void add(const std::string& name, const std::string& uses, const std::string& version = "1") {
    fs::create_directories(root_ / name / version);
    std::ofstream(root_ / name / version / "model.null") << name << version;
    if (!uses.empty()) std::ofstream(root_ / name / "model.toml") << "uses = [" << uses << "]\n";
  }
  Result<ModelSource> resolve(const std::string& name) {
    Repository repository(root_);
    POCKET_ASSIGN_OR_RETURN(ModelSource source, repository.find(name, ""));
    POCKET_RETURN_IF_ERROR(resolve_uses(repository, source));
    return source;
  }
  fs::path root_;
};

TEST_F(UsesTest, WhatIsUsedIsFoundInTheVersionThatIsAskedFor) {
  add("eye", "");
  add("eye", "", "2");
  add("newest", "'eye'");
  add("pinned", "'eye@1', 'newest'");
  auto newest = resolve("newest");
  ASSERT_TRUE(newest.ok()) << newest.error().message;
  ASSERT_EQ(newest->uses.size(), 1U);
  EXPECT_EQ(newest->uses[0].name, "eye");
  EXPECT_EQ(newest->uses[0].source->version, "2");
  EXPECT_EQ(newest->uses[0].digest.size(), 64U);
  auto pinned = resolve("pinned");
  ASSERT_TRUE(pinned.ok()) << pinned.error().message;
  ASSERT_EQ(pinned->uses.size(), 2U);
  EXPECT_EQ(pinned->uses[0].source->version, "1");
  EXPECT_EQ(pinned->uses[1].source->uses[0].source->version, "2");
}

TEST_F(UsesTest, AMissingOneIsNamedWithWhoWantsIt) {
  add("app", "'eye'");
  auto app = resolve("app");
  ASSERT_FALSE(app.ok());
  EXPECT_EQ(app.error().code, POCKET_NOT_FOUND);
  EXPECT_THAT(app.error().message, HasSubstr("model 'app' uses 'eye': no model 'eye'"));
  add("eye", "");
  add("app", "'eye@7'");
  EXPECT_THAT(resolve("app").error().message, HasSubstr("has no version '7'"));
}

TEST_F(UsesTest, CirclesAndTowersAreRefused) {
  add("a", "'b'");
  add("b", "'c'");
  add("c", "'a'");
  EXPECT_THAT(resolve("a").error().message, HasSubstr("in a circle: a -> b -> c -> a"));
  add("self", "'self'");
  EXPECT_THAT(resolve("self").error().message, HasSubstr("self -> self"));
  for (int level = 0; level < 6; ++level) {
    add("t" + std::to_string(level), "'t" + std::to_string(level + 1) + "'");
  }
  add("t6", "");
  EXPECT_THAT(resolve("t0").error().message, HasSubstr("more than 4 deep"));
  EXPECT_TRUE(resolve("t2").ok());
}

TEST(Uses, AnEntryThatNamesNoModelsIsRefusedWithItsLine) {
  for (const char* text : {"uses = 'eye'", "uses = [3]", "uses = ['../eye']", "uses = ['']"}) {
    auto manifest = parse_manifest(std::string("\n") + text, "model.toml");
    ASSERT_FALSE(manifest.ok()) << text;
    EXPECT_THAT(manifest.error().message, HasSubstr("model.toml line 2: 'uses' must"));
  }
}

}  // namespace
}  // namespace pocket::model
