#include "base/ledger_place.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace pocket {
namespace {

namespace fs = std::filesystem;

TEST(LedgerPlace, EverySocketHasItsOwnAndNoneLiesBesideItsSocket) {
  const std::string first = default_ledger("/tmp/a/pocket.sock");
  EXPECT_NE(first, default_ledger("/tmp/b/pocket.sock"));
  if (fs::path(first).filename() == "pocket.sock.ledger") GTEST_SKIP() << "no tmpfs here";
  EXPECT_EQ(fs::path(first).filename(), "tmp_a_pocket.sock");
}

TEST(LedgerPlace, TheFolderIsForThisUserAloneAndGoesWhenItIsEmpty) {
  char base[] = "/tmp/pocket-place-XXXXXX";
  ASSERT_NE(::mkdtemp(base), nullptr);
  const std::string folder = std::string(base) + "/pocket-ledger-" + std::to_string(::geteuid());
  const std::string ledger = folder + "/x";
  ASSERT_TRUE(make_ledger_folder(ledger).ok());
  ASSERT_TRUE(make_ledger_folder(ledger).ok());
  struct stat status {};
  ASSERT_EQ(::stat(folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ::chmod(folder.c_str(), 0777);
  EXPECT_EQ(make_ledger_folder(ledger).error().code, POCKET_PERMISSION_DENIED);
  remove_ledger_folder(ledger);
  EXPECT_FALSE(fs::exists(folder));
  ASSERT_TRUE(make_ledger_folder(std::string(base) + "/other/x").ok());
  EXPECT_FALSE(fs::exists(std::string(base) + "/other"));
  fs::remove_all(base);
}

}  // namespace
}  // namespace pocket
