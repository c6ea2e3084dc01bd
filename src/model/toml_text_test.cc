#include "model/toml_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pocket::model {
namespace {

using ::testing::HasSubstr;

TEST(TomlText, CharactersBeyondAsciiAreForStringsAndComments) {
  for (const char* text :
       {"", "a = 1\n", "# café", "a = \"café\"", "a = 'café'", "a = \"\\\"é\"",
        "a = \"\"\"\né\"\"\"\"\"\n", "a = '''\né'''", "\xEF\xBB\xBF# with a byte order mark",
        "\"é\" = 1", "a = \"\" # é", "a.\"é\" = [\"é\", {b = 'é'}]\r\n\"é\" = 2"}) {
    EXPECT_TRUE(check_toml_text(text, "x").ok()) << text;
  }
}

TEST(TomlText, ElsewhereTheyAreRefusedWithTheLine) {
  for (const char* text : {"a = 1\nbé = 2", "\n\xC2\xA0", "a = \"x\"\né", "a = '\\'\né",
                           "\n\xEF\xBB\xAF", "a = \"x\né", "\na = 0\"é\"", "\na = \"x\"\"é\""}) {
    const auto checked = check_toml_text(text, "file.toml");
    ASSERT_FALSE(checked.ok()) << text;
    EXPECT_EQ(checked.error().code, POCKET_INVALID_ARGUMENT);
    EXPECT_THAT(checked.error().message, HasSubstr("file.toml:2:"));
  }
}

}  // namespace
}  // namespace pocket::model
