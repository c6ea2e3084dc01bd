#include "supervisor/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace pocket::supervisor {
namespace {

class SupervisorLog : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "XYZ-3:30", 1);
    ::tzset();
  }
  static constexpr timespec kNow{1'769'860'800, 7'000'000};  // noon in Greenwich
};

TEST_F(SupervisorLog, TextIsALine) {
  EXPECT_EQ(line_of(false, kNow, "info", "it's \"there\""),
            "2026-01-31T15:30:00.007 info pocket-supervisor: it's \"there\"");
}

TEST_F(SupervisorLog, JsonIsOneObjectWhateverTheTextHolds) {
  const std::string pid = std::to_string(::getpid());
  EXPECT_EQ(line_of(true, kNow, "warning", "a \"b\" \\ c\nd\x7f \xc3\xa9"),
            R"({"time":"2026-01-31T15:30:00.007+03:30","level":"warning",)"
            R"("program":"pocket-supervisor","pid":)" +
                pid + R"(,"message":"a \"b\" \\ c\u000ad\u007f \ufffd"})");
}

}  // namespace
}  // namespace pocket::supervisor
