#include "sandbox/syscall_list.h"

#include <gmock/gmock.h>
#include <seccomp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

namespace pocket::sandbox {
namespace {

using ::testing::HasSubstr;

int refusal_of(const SyscallList& list, const std::string& name) {
  const auto found = std::ranges::find(list.rules, name, &SyscallRule::name);
  return found == list.rules.end() ? -1 : found->refusal;
}

TEST(SyscallList, ReadsCallsRefusalsAndSwitches) {
  SyscallList list;
  ASSERT_TRUE(
      parse_syscalls("# comment\n\nread\n ioctl = ENOTTY # why\n+executable-memory\n", "x", list)
          .ok());
  EXPECT_EQ(list.rules.size(), 2U);
  EXPECT_EQ(refusal_of(list, "read"), 0);
  EXPECT_EQ(refusal_of(list, "ioctl"), ENOTTY);
  EXPECT_TRUE(list.executable_memory);
  EXPECT_FALSE(list.written_files);
}

TEST(SyscallList, TheLastWordCounts) {
  SyscallList list;
  ASSERT_TRUE(parse_syscalls("ioctl = ENOTTY\nread\n", "x", list).ok());
  ASSERT_TRUE(parse_syscalls("ioctl\nread = EPERM\n", "y", list).ok());
  EXPECT_EQ(list.rules.size(), 2U);
  EXPECT_EQ(refusal_of(list, "ioctl"), 0);
  EXPECT_EQ(refusal_of(list, "read"), EPERM);
}

TEST(SyscallList, NamesTheLineItDoesNotUnderstand) {
  SyscallList list;
  for (const char* text : {"read write", "\nread = EWHAT", "read =", "read = EPERM more"}) {
    const auto result = parse_syscalls(text, "some.syscalls", list);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_THAT(result.error().message, HasSubstr("some.syscalls line"));
  }
}

TEST(SyscallList, WhatOneOfSeveralEnginesNeedsIsAllowed) {
  const std::string folder = ::testing::TempDir() + "syscalls-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/a.syscalls") << "+executable-memory\nsocket = EACCES\nmkdir\n";
  std::ofstream(folder + "/b.syscalls") << "socket\nmkdir = EPERM\nread = EPERM\n";
  const auto list = syscalls_of({folder + "/a.so", folder + "/b.so", folder + "/none.so"});
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(list.ok()) << list.error().message;
  EXPECT_EQ(refusal_of(*list, "socket"), 0);
  EXPECT_EQ(refusal_of(*list, "mkdir"), 0);
  EXPECT_EQ(refusal_of(*list, "read"), 0) << "the other engine needs it";
  EXPECT_EQ(refusal_of(*list, "unlink"), EACCES);
  EXPECT_TRUE(list->executable_memory);
  EXPECT_FALSE(list->written_files);
}

TEST(SyscallList, EveryCallOfTheCommonListExistsAndTheDangerousOnesAreNotOnIt) {
  const auto list = common_syscalls();
  ASSERT_TRUE(list.ok()) << list.error().message;
  for (const auto& rule : list->rules) {
    EXPECT_NE(::seccomp_syscall_resolve_name(rule.name.c_str()), __NR_SCMP_ERROR) << rule.name;
  }
  for (const char* name : {"execve",
                           "execveat",
                           "fork",
                           "vfork",
                           "clone",
                           "clone3",
                           "socket",
                           "connect",
                           "bind",
                           "ptrace",
                           "process_vm_readv",
                           "process_vm_writev",
                           "kill",
                           "tkill",
                           "mount",
                           "unshare",
                           "setns",
                           "bpf",
                           "io_uring_setup",
                           "userfaultfd",
                           "perf_event_open",
                           "keyctl",
                           "open_by_handle_at",
                           "pidfd_getfd",
                           "memfd_create",
                           "prctl"}) {
    EXPECT_EQ(refusal_of(*list, name), -1) << name;
  }
}

}  // namespace
}  // namespace pocket::sandbox
