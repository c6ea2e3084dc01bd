#include "sandbox/libraries.h"

#include <gmock/gmock.h>

#include <filesystem>

namespace pocket::sandbox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

TEST(Libraries, ReadsTheLoadersList) {
  EXPECT_THAT(
      parse_loader_list("\tlinux-vdso.so.1 (0x00007f2e9cc25000)\n"
                        "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f2e9cab6000)\n"
                        "\tlibgone.so.1 => not found\n"
                        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f2e9cc27000)\n"
                        "\t/lib/ld.so => /lib64/ld.so (0x7f)\n"),
      ElementsAre("/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2",
                  "/lib64/ld.so"));
  EXPECT_TRUE(parse_loader_list("\tstatically linked\n").empty());
}

TEST(Libraries, FindsThoseOfARealProgram) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto folders = library_folders(self);
  ASSERT_TRUE(folders.ok()) << folders.error().message;
  bool has_libc = false;
  for (const auto& folder : *folders) {
    has_libc = has_libc || std::filesystem::exists(folder + "/libc.so.6");
  }
  EXPECT_TRUE(has_libc);
  EXPECT_THAT(*folders, Contains(std::filesystem::path(self).parent_path().string()));
}

}  // namespace
}  // namespace pocket::sandbox
