#include "model/repository.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "model/digest.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

class RepositoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "pocket-models-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  fs::path root_;
};

TEST_F(RepositoryTest, NewestVersionIsTheHighestNumber) {
  write("cat/2/model.onnx", "two");
  write("cat/10/model.onnx", "ten");
  write("cat/notes/model.onnx", "not a version");
  auto source = Repository(root_).find("cat", "");
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->version, "10");
  EXPECT_EQ(source->format, "onnx");
  EXPECT_EQ(source->file_bytes, 3U);
  EXPECT_EQ(Repository(root_).list(nullptr).size(), 2U);
}

TEST_F(RepositoryTest, NotFoundSaysWhatThereIs) {
  write("cat/1/model.onnx", "x");
  auto model = Repository(root_).find("dog", "");
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, POCKET_NOT_FOUND);
  EXPECT_NE(model.error().message.find("cat"), std::string::npos);
  auto version = Repository(root_).find("cat", "7");
  ASSERT_FALSE(version.ok());
  EXPECT_NE(version.error().message.find("it has 1"), std::string::npos);
}

TEST_F(RepositoryTest, NamesCannotLeaveTheFolder) {
  for (const char* name : {"../cat", "", ".hidden", "a/b", "a b", ".."}) {
    auto model = Repository(root_).find(name, "");
    ASSERT_FALSE(model.ok()) << name;
    EXPECT_EQ(model.error().code, POCKET_INVALID_ARGUMENT) << name;
  }
}

TEST_F(RepositoryTest, EmptyVersionFolderIsReported) {
  fs::create_directories(root_ / "cat/1");
  std::vector<Error> problems;
  EXPECT_TRUE(Repository(root_).list(&problems).empty());
  ASSERT_EQ(problems.size(), 1U);
}

TEST(Manifest, ReadsEveryKey) {
  auto manifest = parse_manifest(
      "engine='null'\nthreads=2\nconcurrency=3\nprecision='auto'\nwarmup=false\n"
      "keep_alive_seconds=1.5\ngroup='g'\nsha256='ab'\ndescription='d'\nlicence='l'\n"
      "source='s'\n[options]\nb='2'\na='1'\n",
      "model.toml");
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->engine, "null");
  EXPECT_EQ(manifest->threads, 2U);
  EXPECT_EQ(manifest->concurrency, 3U);
  EXPECT_FALSE(manifest->warmup);
  EXPECT_EQ(manifest->keep_alive_seconds, 1.5);
  EXPECT_EQ(manifest->options[0].first, "a");
}

TEST(Manifest, UnknownKeyNamesTheNearest) {
  auto manifest = parse_manifest("\nengin='null'\n", "model.toml");
  ASSERT_FALSE(manifest.ok());
  EXPECT_EQ(manifest.error().message,
            "model.toml line 2: unknown key 'engin'; did you mean 'engine'?");
}

TEST(Manifest, WrongTypesAreRefused) {
  for (const char* text : {"threads='two'", "threads=0", "warmup=1", "precision='int4'",
                           "keep_alive_seconds=-1", "options=3", "[options]\na=1", "engine="}) {
    auto manifest = parse_manifest(text, "model.toml");
    ASSERT_FALSE(manifest.ok()) << text;
    EXPECT_EQ(manifest.error().code, POCKET_INVALID_ARGUMENT) << text;
  }
}

TEST_F(RepositoryTest, DigestFollowsTheContents) {
  write("cat/1/model.onnx", "abc");
  const std::string folder = (root_ / "cat/1").string();
  auto digest = cached_digest(folder);
  ASSERT_TRUE(digest.ok());
  // `printf abc | sha256sum`
  EXPECT_EQ(*digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  write("cat/1/model.onnx", "abcd");
  EXPECT_NE(*cached_digest(folder), *digest);
  write("dog/1/model.onnx", "abc");
  EXPECT_EQ(*cached_digest((root_ / "dog/1").string()), *digest);
  write("dog/1/weights.bin", "w");
  EXPECT_NE(*cached_digest((root_ / "dog/1").string()), *digest);
  EXPECT_FALSE(cached_digest((root_ / "none").string()).ok());
}

}  // namespace
}  // namespace pocket::model
