#include "cgroup/process.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "cgroup/fake_tree.h"

namespace pocket::cgroup {
namespace {

constexpr char kHybrid[] =
    "9:name=systemd:/init\n5:cpuset:/set\n4:memory:/docker/1\n"
    "3:cpu,cpuacct:/a:b/c\n0::/user.slice\n";

TEST(Process, PicksTheLineOfAController) {
  EXPECT_EQ(group_in(kHybrid, "memory"), "/docker/1");
  EXPECT_EQ(group_in(kHybrid, "cpu"), "/a:b/c");
  EXPECT_EQ(group_in(kHybrid, "cpuset"), "/set");
  EXPECT_EQ(group_in(kHybrid, ""), "/user.slice");
  EXPECT_EQ(group_in(kHybrid, "freezer"), std::nullopt);
  EXPECT_EQ(group_in("0::/x\n", "cpu"), std::nullopt);
  EXPECT_EQ(group_in("nonsense\n:\n", "cpu"), std::nullopt);
}

TEST(Process, TellsWhatIsWrong) {
  FakeTree fake;
  fake.process("10", "4:memory:/gone (deleted)\n3:cpu:/\n0::/x (deleted)\n");
  fake.process("11", "4:memory:/\n0::/\n", 0x400004);  // PF_EXITING
  const auto code = [&](pid_t pid, const char* controller) {
    return group_of_process(fake.proc(), pid, -1, controller).error().code;
  };
  EXPECT_EQ(code(10, "memory"), POCKET_NOT_FOUND);
  EXPECT_EQ(code(10, ""), POCKET_NOT_FOUND);
  EXPECT_EQ(code(10, "freezer"), POCKET_NOT_FOUND);
  EXPECT_EQ(*group_of_process(fake.proc(), 10, -1, "cpu"), "/");
  EXPECT_EQ(code(11, "memory"), POCKET_UNAVAILABLE);
  EXPECT_EQ(*group_of_process(fake.proc(), 11, -1, ""), "/");  // v2 keeps the real path
  EXPECT_EQ(code(12, "cpu"), POCKET_UNAVAILABLE);
  EXPECT_EQ(code(0, "cpu"), POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(code(-1, "cpu"), POCKET_INVALID_ARGUMENT);
}

// The pidfd's process ends, and /proc still (again) has somebody of that pid.
TEST(Process, IsNotFooledByAReusedPid) {
  FakeTree fake;
  int hold[2];
  ASSERT_EQ(::pipe(hold), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(hold[1]);
    ::_exit(static_cast<int>(::read(hold[0], &byte, 1)));
  }
  ::close(hold[0]);
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ASSERT_TRUE(pidfd.valid());
  fake.process(std::to_string(child), "4:memory:/somebody\n");
  EXPECT_EQ(*group_of_process(fake.proc(), child, pidfd.get(), "memory"), "/somebody");
  ::close(hold[1]);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(group_of_process(fake.proc(), child, pidfd.get(), "memory").error().code,
            POCKET_UNAVAILABLE);  // a zombie
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto reused = group_of_process(fake.proc(), child, pidfd.get(), "memory");
  ASSERT_FALSE(reused.ok());
  EXPECT_EQ(reused.error().code, POCKET_UNAVAILABLE);
  EXPECT_NE(reused.error().message.find(std::to_string(child)), std::string::npos);
}

}  // namespace
}  // namespace pocket::cgroup
