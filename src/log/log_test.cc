#include "log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "log/json_text.h"

namespace pocket::log {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    char name[] = "/tmp/pocket-log-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~LogTest() override {
    (void)set_up({.program = "test"});
    std::filesystem::remove_all(folder_);
  }
  std::string path() const { return folder_ + "/test.log"; }
  static std::string text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string folder_;
};

TEST_F(LogTest, LinesOfText) {
  ASSERT_TRUE(set_up({.program = "pocketd", .file = path()}).ok());
  spdlog::debug("not this");
  spdlog::warn("a {}", 1);
  EXPECT_THAT(text(path()), MatchesRegex("[0-9T:.-]+ warning pocketd: a 1\n"));
}

TEST_F(LogTest, LinesOfJsonHoldWhateverIsWritten) {
  ASSERT_TRUE(set_up({.program = "pocketd", .level = "debug", .json = true, .file = path()}).ok());
  const std::string strange = "a \"b\"\n{}\\ \x01 \xff \xc3\xa4";
  spdlog::debug("{}", strange);
  const std::string line = text(path());
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto object = nlohmann::json::parse(line);
  EXPECT_EQ(object["level"], "debug");
  EXPECT_EQ(object["program"], "pocketd");
  EXPECT_EQ(object["message"], "a \"b\"\n{}\\ \x01 \xef\xbf\xbd \xc3\xa4");
  EXPECT_THAT(object["time"].get<std::string>(),
              MatchesRegex("[0-9-]+T[0-9:]+[.][0-9]+[+-][0-9:]+"));
}

TEST_F(LogTest, AFileThatWasMovedAwayIsMadeAnew) {
  ASSERT_TRUE(set_up({.program = "pocketd", .file = path()}).ok());
  spdlog::info("first");
  std::filesystem::rename(path(), path() + ".old");
  spdlog::info("second");
  ASSERT_TRUE(set_up({.program = "pocketd", .file = path()}).ok());
  spdlog::info("third");
  EXPECT_THAT(text(path() + ".old"), HasSubstr("second"));
  EXPECT_THAT(text(path()), HasSubstr("third"));
  EXPECT_THAT(text(path()), Not(HasSubstr("second")));
}

TEST_F(LogTest, ItsFolderIsMade) {
  const std::string file = folder_ + "/not/yet/test.log";
  ASSERT_TRUE(set_up({.program = "pocketd", .file = file}).ok());
  spdlog::info("first");
  EXPECT_THAT(text(file), HasSubstr("first"));
}

TEST_F(LogTest, WhatCannotBeOpenedChangesNothing) {
  ASSERT_TRUE(set_up({.program = "pocketd", .file = path()}).ok());
  const auto failed = set_up({.program = "pocketd", .file = path() + "/log"});
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("test.log/log"));
  spdlog::info("still here");
  EXPECT_THAT(text(path()), HasSubstr("still here"));
}

TEST_F(LogTest, OneOlderFileIsKeptBySize) {
  ASSERT_TRUE(set_up({.program = "pocketd", .file = path(), .rotate_bytes = 1000}).ok());
  for (int index = 0; index < 100; ++index) spdlog::info("line {:03}", index);
  EXPECT_LE(std::filesystem::file_size(path()), 1000U);
  EXPECT_LE(std::filesystem::file_size(folder_ + "/test.1.log"), 1000U);
  EXPECT_THAT(text(path()), HasSubstr("line 099"));
  EXPECT_THAT(text(folder_ + "/test.1.log"), Not(HasSubstr("line 099")));
}

}  // namespace
}  // namespace pocket::log
