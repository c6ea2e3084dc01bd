#include "sandbox/settings.h"

#include <gmock/gmock.h>

namespace pocket::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Settings, ModesSurviveACommandLine) {
  Settings settings;
  settings.set(Protection::kNetwork, Mode::kOff);
  settings.set(Protection::kSyscalls, Mode::kRequire);
  const std::string text = modes_text(settings);
  EXPECT_EQ(text, "network=off,syscalls=require");
  Settings again;
  ASSERT_TRUE(parse_modes(text, again).ok());
  EXPECT_EQ(again.modes, settings.modes);
  EXPECT_EQ(modes_text(Settings{}), "");
}

TEST(Settings, RefusesWhatThereIsNot) {
  Settings settings;
  EXPECT_THAT(parse_modes("nettwork=off", settings).error().message, HasSubstr("nettwork"));
  EXPECT_FALSE(parse_modes("network", settings).ok());
  EXPECT_THAT(parse_modes("network=on", settings).error().message, HasSubstr("\"require\""));
}

Report all_on() {
  Report report;
  for (auto& outcome : report.outcomes) outcome.on = true;
  return report;
}

TEST(Report, SurvivesAPipe) {
  Report report = all_on();
  report.of(Protection::kProcesses) = {false, "making a PID namespace: Operation not permitted"};
  const auto again = Report::parse(report.text());
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->text(), report.text());
  EXPECT_FALSE(Report::parse("user on\n").ok());  // a process that died in the middle
  EXPECT_FALSE(Report::parse("something else\n").ok());
}

TEST(Report, TellsWhatIsMissing) {
  Settings settings;
  settings.set(Protection::kIpc, Mode::kOff);
  Report report = all_on();
  report.of(Protection::kIpc) = {false, "switched off"};
  EXPECT_TRUE(missing(settings, report).empty());
  report.of(Protection::kUser) = {false, "not root"};
  EXPECT_THAT(missing(settings, report), ElementsAre("user: not root"));
  EXPECT_TRUE(check_required(settings, report).ok());
  settings.set(Protection::kUser, Mode::kRequire);
  const auto refused = check_required(settings, report);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_THAT(refused.error().message, HasSubstr("user (not root)"));
}

}  // namespace
}  // namespace pocket::sandbox
