#include "daemon/processors.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cgroup/host.h"

namespace pocket::daemon {
namespace {

/// What a process in a group with this limit counts; -1 when it could not be moved there.
int counted_with(cgroup::OwnedGroup& group, const cgroup::CpuLimit& limit) {
  const auto set = group.cpu().set_cpu_limit(limit);
  EXPECT_TRUE(set.ok()) << set.error().message;
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(group.add(::getpid()).ok() ? static_cast<int>(usable_processors()) : 255);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

TEST(Processors, FollowTheQuotaOfTheGroupAndOfThoseAbove) {
  const auto host = cgroup::Host::detect();
  if (!host.why_not(cgroup::Controller::kCpu).empty()) {
    std::printf("skipped: %s\n", host.why_not(cgroup::Controller::kCpu).c_str());
    std::exit(77);
  }
  const std::string name = "pocket-processors-" + std::to_string(::getpid());
  auto outer = host.create(name);
  ASSERT_TRUE(outer.ok()) << outer.error().message;
  auto inner = host.create(name + "/in");
  ASSERT_TRUE(inner.ok()) << inner.error().message;
  cpu_set_t mask;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(mask), &mask), 0);
  const int all = CPU_COUNT(&mask);
  EXPECT_EQ(counted_with(*inner, {-1, 100000}), all);
  EXPECT_EQ(counted_with(*inner, {int64_t{100} * all * 10000, 10000}), all);
  EXPECT_EQ(counted_with(*inner, {20000, 100000}), 1);
  EXPECT_EQ(counted_with(*inner, {110000, 100000}), all < 2 ? all : 2);  // rounded up
  EXPECT_EQ(counted_with(*inner, {-1, 100000}), all);
  ASSERT_TRUE(outer->cpu().set_cpu_limit({100000, 100000}).ok());
  EXPECT_EQ(counted_with(*inner, {-1, 50000}), 1);  // a limit above counts too
}

}  // namespace
}  // namespace pocket::daemon
