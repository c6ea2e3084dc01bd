#include "model/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "model/repository.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LockTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "pocket-lock-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    write("cat/1/model.onnx", "abc");
    write("cat/1/weights/a.bin", "weights");
    write("cat/model.toml", "licence = 'MIT'\nsource = 'a \"quoted\" place'\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  Result<ModelSource> cat() { return Repository(root_).find("cat", "1"); }
  void lock_cat() {
    auto entry = lock_model(cat().value(), {"pocket 1.0", "numpy 2.4.6"});
    ASSERT_TRUE(entry.ok()) << entry.error().message;
    Lock lock;
    lock.put(std::move(*entry));
    ASSERT_TRUE(write_lock(root_, lock).ok());
  }
  std::vector<std::string> changes() {
    auto lock = read_lock(root_);
    EXPECT_TRUE(lock.ok()) << lock.error().message;
    auto lines = differences(lock->models.at(0), root_);
    EXPECT_TRUE(lines.ok()) << lines.error().message;
    return *lines;
  }
  fs::path root_;
};

TEST_F(LockTest, WhatWasWrittenIsRead) {
  lock_cat();
  auto lock = read_lock(root_);
  ASSERT_TRUE(lock.ok()) << lock.error().message;
  const LockedModel* entry = lock->find("cat", "1");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->licence, "MIT");
  EXPECT_EQ(entry->source, "a \"quoted\" place");
  EXPECT_THAT(entry->tools, ElementsAre("pocket 1.0", "numpy 2.4.6"));
  ASSERT_EQ(entry->files.size(), 2U);
  EXPECT_EQ(entry->files[0].path, "model.onnx");
  EXPECT_EQ(entry->files[0].bytes, 3U);
  EXPECT_EQ(entry->files[0].sha256,  // printf abc | sha256sum
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(entry->files[1].path, "weights/a.bin");
  EXPECT_EQ(cat()->locked_sha256, entry->sha256);
  EXPECT_THAT(changes(), IsEmpty());
}

TEST_F(LockTest, EveryChangeIsNamed) {
  lock_cat();
  write("cat/1/model.onnx", "abd");
  EXPECT_THAT(changes(), ElementsAre(HasSubstr("cat/1/model.onnx' has SHA-256")));
  write("cat/1/more.txt", "");
  fs::remove(root_ / "cat/1/weights/a.bin");
  EXPECT_THAT(changes(), ElementsAre(HasSubstr("model.onnx"), HasSubstr("a.bin' is missing"),
                                     HasSubstr("more.txt' is not in the lock")));
  fs::remove_all(root_ / "cat/1");
  EXPECT_THAT(changes(), ElementsAre(HasSubstr("cat/1' is missing")));
}

TEST_F(LockTest, AnEntryThatIsNotItsFilesIsNamed) {
  lock_cat();
  auto lock = read_lock(root_);
  lock->models[0].sha256 = std::string(64, '0');
  ASSERT_TRUE(write_lock(root_, *lock).ok());
  EXPECT_THAT(changes(), ElementsAre(HasSubstr("has digest")));
}

TEST_F(LockTest, BadLocksAreRefusedWithTheirLine) {
  const std::string digest(64, 'a');
  const std::string model = "[[model]]\nname = 'cat'\nversion = '1'\nsha256 = '" + digest + "'\n";
  const std::pair<std::string, std::string> bad[] = {
      {"version = 2\n", "version 2"},
      {"", "version 0"},
      {"version = 1\nmodels = 1\n", "line 2: unknown key 'models'"},
      {"version = 1\n[model]\nname = 'cat'\n", "[[model]]"},
      {"version = 1\n[[model]]\nname = 'cat'\nversion = '1'\nsha256 = 'AB'\n", "64 hexadecimal"},
      {"version = 1\n[[model]]\nname = '../cat'\nversion = '1'\nsha256 = '" + digest + "'\n",
       "'name'"},
      {"version = 1\n" + model + model, "twice"},
      {"version = 1\n" + model + "[[model.file]]\npath = '../x'\nbytes = 1\nsha256 = '" + digest +
           "'\n",
       "below"},
      {"version = 1\n" + model + "[[model.file]]\npath = 'x'\nbytes = -1\nsha256 = '" + digest +
           "'\n",
       "bytes"},
      {"not toml", "line 1"}};
  for (const auto& [text, said] : bad) {
    auto lock = parse_lock(text, "models.lock");
    ASSERT_FALSE(lock.ok()) << text;
    EXPECT_EQ(lock.error().code, POCKET_INVALID_ARGUMENT);
    EXPECT_THAT(lock.error().message, HasSubstr(said)) << text;
    EXPECT_THAT(lock.error().message, HasSubstr("models.lock")) << text;
  }
  write("models.lock", "not toml");
  EXPECT_FALSE(cat().ok());
}

TEST_F(LockTest, ThePageShowsALock) {
  std::ifstream page(FORMAT_LOCK_PAGE);
  std::string text, line;
  while (std::getline(page, line)) {
    if (line.starts_with("    ")) text += line.substr(4) + "\n";
  }
  auto lock = parse_lock(text, "docs/format-lock.md");
  ASSERT_TRUE(lock.ok()) << lock.error().message;
  ASSERT_EQ(lock->models.size(), 1U);
  EXPECT_EQ(lock->models[0].files.at(0).path, "model.tflite");
  EXPECT_EQ(parse_lock(format_lock(*lock), "written")->models[0].files.at(0).bytes, 229032U);
}

}  // namespace
}  // namespace pocket::model
