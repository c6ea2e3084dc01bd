// What a thin client of MobileNetV2 costs in memory while it holds an answer.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "processes.h"
#include "service.h"

namespace {

TEST(ClientMemory, AClientOfMobileNetV2NeedsAtMostTwoMegabytes) {
  const std::string models = MODELS_PATH;
  const std::string picture = PICTURES_PATH "/coffee.png";
  if (!std::filesystem::exists(models + "/mobilenetv2") || !std::filesystem::exists(picture)) {
    std::printf("skipped: no model in '%s' (make models)\n", models.c_str());
    std::exit(77);
  }
  pocket::testing::TestService service;
  ASSERT_TRUE(service.start({"--models", models})) << service.log();
  int gate[2];   // the app goes on when a line comes in
  int ready[2];  // it says 'ready' when it holds its first answer
  ASSERT_EQ(::pipe(gate), 0);
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t app = ::fork();
  if (app == 0) {
    ::dup2(gate[0], 0);
    ::dup2(ready[1], 1);
    for (const int fd : {gate[0], gate[1], ready[0], ready[1]}) ::close(fd);
    ::execl(APP_PATH, APP_PATH, "--socket", service.socket().c_str(), "--input", picture.c_str(),
            "--warm-up", "5", "--gate", "--json", "-", nullptr);
    ::_exit(127);
  }
  ::close(gate[0]);
  ::close(ready[1]);
  char text[6];
  ASSERT_EQ(::read(ready[0], text, sizeof(text)), 6) << service.log();
  const uint64_t bytes = pocket::testing::pss_bytes(app);
  std::printf("%llu bytes\n", static_cast<unsigned long long>(bytes));
  EXPECT_GT(bytes, 0U);
  EXPECT_LE(bytes, 2'000'000U);
  ASSERT_EQ(::write(gate[1], "\n", 1), 1);
  ::close(gate[1]);
  std::string report;
  char byte = 0;
  while (::read(ready[0], &byte, 1) == 1) report += byte;
  int status = -1;
  ASSERT_EQ(::waitpid(app, &status, 0), app);
  EXPECT_EQ(status, 0);
  EXPECT_NE(report.find("\"pss_bytes\""), std::string::npos);
}

}  // namespace
