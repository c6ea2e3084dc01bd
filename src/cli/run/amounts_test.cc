#include "cli/run/amounts.h"

#include <gtest/gtest.h>

namespace pocket::cli {
namespace {

TEST(Amounts, Memory) {
  EXPECT_EQ(*parse_memory("128m"), 128u << 20);
  EXPECT_EQ(*parse_memory("1.5G"), 3u << 29);
  EXPECT_EQ(*parse_memory("2048k"), 2u << 20);
  EXPECT_EQ(*parse_memory("1048576"), 1u << 20);
  EXPECT_EQ(*parse_memory("409.6m"), 429496729u);
  for (const char* text : {"", "12q", "-1m", "+1m", "nan", "inf", "0", "1k", "m", "128mb", "1e9",
                           " 1m", "1m ", "0x10m", "99999999999999999999g", "."}) {
    EXPECT_FALSE(parse_memory(text).ok()) << text;
  }
}

TEST(Amounts, Cpus) {
  EXPECT_DOUBLE_EQ(*parse_cpus("0.5"), 0.5);
  EXPECT_DOUBLE_EQ(*parse_cpus("2"), 2);
  for (const char* text :
       {"", "-1", "0", "NaN", "nan", "inf", "0.001", "1e1", "1,5", "5000", "x"}) {
    EXPECT_FALSE(parse_cpus(text).ok()) << text;
  }
}

TEST(Amounts, CpuList) {
  EXPECT_EQ(*parse_cpu_list("0"), std::vector<int>({0}));
  EXPECT_EQ(*parse_cpu_list("3,0-1,1"), std::vector<int>({0, 1, 3}));
  for (const char* text :
       {"", ",", "0,", "-1", "2-1", "a", "0-", "0-1-2", "0 1", "4096", "99999999999", "0,,1"}) {
    EXPECT_FALSE(parse_cpu_list(text).ok()) << text;
  }
}

TEST(Amounts, NamesAndVariables) {
  EXPECT_TRUE(check_run_name("web-1.a_B").ok());
  for (const char* text : {"", "../x", "a/b", "-x", ".x", "a b", "é"}) {
    EXPECT_FALSE(check_run_name(text).ok()) << text;
  }
  EXPECT_FALSE(check_run_name(std::string(65, 'a')).ok());
  EXPECT_TRUE(check_environment("A_1=b=c").ok());
  EXPECT_TRUE(check_environment("A=").ok());
  for (const char* text : {"", "A", "=b", "1A=b", "A-B=c"}) {
    EXPECT_FALSE(check_environment(text).ok()) << text;
  }
}

}  // namespace
}  // namespace pocket::cli
