#include "base/toml.h"

#include <gtest/gtest.h>

namespace {

TEST(Toml, CharactersBeyondAsciiAreForStringsAndComments) {
  for (const char* text :
       {"a = 1\n", "# café", "a = \"café\"", "a = 'café'", "a = \"\"\"\né\"\"\"\"\"\n",
        "a = \"\"\"\\\n é\"\"\"", "\xEF\xBB\xBF# with a byte order mark", "\"é\" = 1",
        "a = \"\" # é", "a.\"é\" = [\"é\", {b = 'é'}]\r\n\"é\" = 2"}) {
    EXPECT_NO_THROW((void)toml::parse(text)) << text;
  }
  EXPECT_EQ(*toml::parse("a = \"\"\"x\\\n \n é\"\"\"")["a"].value<std::string>(), "xé");
}

TEST(Toml, ElsewhereTheyAreErrorsInTheirLine) {
  for (const char* text :
       {"a = 1\nbé = 2", "\n\xEF\xAF\x81", "a = \"x\"\né", "a = '\\'\né", "\n\xEF\xBB\xAF",
        "\na = 0\"é\"", "\na = \"x\"\"é\"", "\na = \"\\é\"", "\nb = 1\"0[{c[\"\xEF\xBB\xBD"}) {
    try {
      (void)toml::parse(text);
      ADD_FAILURE() << text;
    } catch (const toml::parse_error& error) {
      EXPECT_EQ(error.source().begin.line, 2U) << text;
    }
  }
}

}  // namespace
