#include "daemon/scratch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace pocket::daemon {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

/// Beside the test's program, because a folder for temporary files may lie in memory.
class ScratchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string text =
        (fs::read_symlink("/proc/self/exe").parent_path() / "scratch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(text.data()), nullptr);
    folder_ = text;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ScratchTest, KeepsBytesAndHasNoName) {
  const auto file = open_scratch(folder_.string());
  if (!file.ok() && file.error().code == POCKET_FAILED_PRECONDITION) GTEST_SKIP() << "in memory";
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(fs::is_empty(folder_));
  ASSERT_EQ(::pwrite(file->get(), "bytes", 5, 0), 5);
  char text[5];
  ASSERT_EQ(::pread(file->get(), text, 5, 0), 5);
  EXPECT_EQ(std::string(text, 5), "bytes");
}

TEST_F(ScratchTest, FolderThatIsNotThereIsNamed) {
  const auto file = open_scratch((folder_ / "none").string());
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, POCKET_NOT_FOUND);
  EXPECT_THAT(file.error().message, HasSubstr((folder_ / "none").string()));
  EXPECT_THAT(file.error().message, HasSubstr("engines.scratch_dir"));
}

TEST_F(ScratchTest, FolderInMemoryIsRefused) {
  if (!fs::is_directory("/dev/shm")) GTEST_SKIP() << "no /dev/shm";
  const auto file = open_scratch("/dev/shm");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_THAT(file.error().message, HasSubstr("lies in memory"));
}

}  // namespace
}  // namespace pocket::daemon
