// Starting with what only a parent can give: namespaces, few descriptors, a small environment.
#include "sandbox/start.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "sandbox/capabilities.h"

namespace pocket::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// What `script` prints, started with `settings`.
std::string output_of(const std::string& script, const Settings& settings, int passed = -1) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  StartRequest request{{"/bin/sh", "-c", script}, passed, writer.get()};
  auto started = start_process(request, settings);
  if (!started.ok()) return started.error().message;
  writer.reset();
  std::string text;
  char part[4096];
  for (ssize_t bytes = 0; (bytes = ::read(reader.get(), part, sizeof(part))) > 0;) {
    text.append(part, static_cast<size_t>(bytes));
  }
  EXPECT_TRUE(started->pidfd.valid());
  ::waitpid(started->pid, nullptr, 0);
  return text;
}

TEST(Start, PassesNoOtherDescriptorAndNoSecretOfTheEnvironment) {
  ::setenv("POCKET_TEST_SECRET", "tell nobody", 1);
  ::setenv("LC_ALL", "C", 1);
  const UniqueFd stray(::open("/dev/null", O_RDONLY));  // not close-on-exec
  const UniqueFd passed(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const std::string told =
      output_of("ls -l /proc/self/fd; tr '\\0' '\\n' < /proc/self/environ; readlink /dev/fd/0",
                Settings{}, passed.get());
  EXPECT_THAT(told, HasSubstr("3 -> /dev/zero"));
  EXPECT_THAT(told, Not(HasSubstr("4 -> /dev/null")));
  EXPECT_THAT(told, Not(HasSubstr("tell nobody")));
  EXPECT_THAT(told, HasSubstr("LC_ALL=C"));
}

TEST(Start, IsTheFirstOfAPidNamespaceWhereTheHostGivesOne) {
  const std::string own = output_of("echo $$", Settings{});
  Settings off;
  off.set(Protection::kProcesses, Mode::kOff);
  EXPECT_NE(output_of("echo $$", off), "1\n");
  if (own != "1\n" && !may_make_namespaces()) GTEST_SKIP() << "no namespaces for this user here";
  EXPECT_EQ(own, "1\n");
}

TEST(Start, SaysWhyAProgramCannotBeStarted) {
  const StartRequest request{{"/nowhere/pocket-runner"}, -1, -1};
  const auto started = start_process(request, Settings{});
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr("/nowhere/pocket-runner"));
  EXPECT_THAT(started.error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace pocket::sandbox
