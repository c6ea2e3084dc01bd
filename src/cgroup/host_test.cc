#include "cgroup/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cgroup/effective.h"
#include "cgroup/fake_tree.h"

namespace pocket::cgroup {
namespace {

using testing::HasSubstr;

TEST(Host, WithoutTreesSaysSo) {
  FakeTree fake;
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(host.layout(), Layout::kNone);
  EXPECT_THAT(host.why_not(Controller::kCpu), HasSubstr("cpu controller is not mounted"));
  EXPECT_THAT(host.describe(), HasSubstr("none: cpu not usable"));
  for (const auto code :
       {host.group_of(Controller::kMemory, ::getpid()).error().code,
        host.open(Controller::kMemory, "/x").error().code, host.create("x").error().code}) {
    EXPECT_EQ(code, POCKET_FAILED_PRECONDITION);
  }
  EXPECT_FALSE(*host.frozen(::getpid()));
  const Host nothing = Host::detect(fake.path() + "/no-such-proc");
  EXPECT_EQ(nothing.layout(), Layout::kNone);
  EXPECT_THAT(nothing.why_not(Controller::kMemory), HasSubstr("mountinfo"));
}

TEST(Host, V1) {
  FakeTree fake;
  const std::string cpu = fake.mount_v1("cpu,cpuacct");
  const std::string memory = fake.mount_v1("memory");
  fake.process("10", "4:memory:/docker/1\n3:cpu,cpuacct:/docker/2\n");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(host.layout(), Layout::kV1);
  EXPECT_EQ(host.why_not(Controller::kCpu) + host.why_not(Controller::kMemory), "");
  EXPECT_EQ(*host.group_of(Controller::kMemory, 10), memory + "/docker/1");
  EXPECT_EQ(*host.group_of(Controller::kCpu, 10), cpu + "/docker/2");
  EXPECT_EQ(host.label(Controller::kCpu, cpu + "/docker/2"), "group /docker/2");
}

TEST(Host, V2) {
  FakeTree fake;
  const std::string tree = fake.mount_v2("cpuset cpu io memory pids");
  fake.process("10", "0::/system.slice/foo.service\n");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(host.layout(), Layout::kV2);
  EXPECT_EQ(*host.group_of(Controller::kCpu, 10), tree + "/system.slice/foo.service");
  EXPECT_EQ(host.label(Controller::kCpu, tree + "/system.slice/foo.service"),
            "systemd foo.service");
  // The v1 tree that only systemd uses takes no controller away.
  fake.mount_v1("name=systemd");
  EXPECT_EQ(Host::detect(fake.proc()).layout(), Layout::kV2);
}

TEST(Host, HybridWithControllersSplitBetweenTheTrees) {
  FakeTree fake;
  const std::string cpu = fake.mount_v1("cpu");
  const std::string tree = fake.mount_v2("memory");
  fake.process("10", "1:cpu:/a\n0::/b\n");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(host.layout(), Layout::kHybrid);
  EXPECT_FALSE(host.is_v2(Controller::kCpu));
  EXPECT_TRUE(host.is_v2(Controller::kMemory));
  EXPECT_EQ(*host.group_of(Controller::kCpu, 10), cpu + "/a");
  EXPECT_EQ(*host.group_of(Controller::kMemory, 10), tree + "/b");
}

TEST(Host, HybridWithAnEmptyV2Tree) {
  FakeTree fake;
  fake.mount_v1("cpu");
  fake.mount_v1("memory");
  fake.mount_v2("");
  EXPECT_EQ(Host::detect(fake.proc()).layout(), Layout::kHybrid);
}

TEST(Host, NamesAMissingControllerAndUsesTheOther) {
  FakeTree fake;
  fake.mount_v2("cpuset cpu");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(host.layout(), Layout::kV2);
  EXPECT_EQ(host.why_not(Controller::kCpu), "");
  EXPECT_THAT(host.why_not(Controller::kMemory), HasSubstr("cgroup_enable=memory"));
  EXPECT_EQ(host.create("x").error().code, POCKET_FAILED_PRECONDITION);
}

TEST(Host, ReadOnlyTreesCanBeReadOnly) {
  FakeTree fake;
  const std::string cpu = fake.mount_v1("cpu", "/", "ro");
  fake.process("10", "1:cpu:/a\n");
  fake.v1_cpu(cpu + "/a", "50000", "100000");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(host.layout(), Layout::kNone);
  EXPECT_THAT(host.why_not(Controller::kCpu), HasSubstr("read-only"));
  auto group = host.open(Controller::kCpu, *host.group_of(Controller::kCpu, 10));
  ASSERT_TRUE(group.ok()) << group.error().message;
  EXPECT_EQ(*group->cpu_limit(), (CpuLimit{50000, 100000}));
  EXPECT_THAT(host.create("x", std::array{Controller::kCpu}).error().message,
              HasSubstr("read-only"));
}

TEST(Host, SeesOnlyThePartThatIsMounted) {
  FakeTree fake;
  const std::string memory = fake.mount_v1("memory", "/docker/1");
  fake.process("10", "4:memory:/docker/1\n");
  fake.process("11", "4:memory:/docker/2\n");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(*host.group_of(Controller::kMemory, 10), memory);
  const auto other = host.group_of(Controller::kMemory, 11);
  EXPECT_EQ(other.error().code, POCKET_PERMISSION_DENIED);
  EXPECT_THAT(other.error().message, HasSubstr("--cgroupns=host"));
}

TEST(Host, MakesNoGroupWhereV2ForbidsIt) {
  FakeTree fake;
  const std::string tree = fake.mount_v2("cpu memory");
  for (const char* name : {"/busy", "/bare"}) {
    fake.v2_group(tree + name, "", "");
    fake.write(tree + name + "/cgroup.subtree_control", "");
  }
  fake.write(tree + "/busy/cgroup.controllers", "cpu memory\n");
  fake.write(tree + "/busy/cgroup.procs", "12\n");
  fake.write(tree + "/bare/cgroup.controllers", "pids\n");
  const Host host = Host::detect(fake.proc());
  const auto busy = host.create("busy/x");
  ASSERT_FALSE(busy.ok());
  EXPECT_EQ(busy.error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_THAT(busy.error().message, HasSubstr("processes of its own"));
  EXPECT_THAT(busy.error().message, HasSubstr(tree + "/busy/"));
  const auto bare = host.create("bare/x");
  ASSERT_FALSE(bare.ok());
  EXPECT_EQ(bare.error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_THAT(bare.error().message, HasSubstr("not available"));
  EXPECT_EQ(fake.read(tree + "/busy/cgroup.subtree_control"), "");
}

TEST(Host, OpensOnlyGroupsOfTheTree) {
  FakeTree fake;
  const std::string memory = fake.mount_v1("memory");
  fake.write(memory + "/folder/file", "");
  fake.v1_memory(memory + "/a", "4096");
  const Host host = Host::detect(fake.proc());
  const auto code = [&](const std::string& path) {
    auto group = host.open(Controller::kMemory, path);
    return group.ok() ? POCKET_OK : group.error().code;
  };
  EXPECT_EQ(code(memory + "/a"), POCKET_OK);
  EXPECT_EQ(code(memory + "/a/"), POCKET_OK);
  EXPECT_EQ(code(memory), POCKET_OK);
  EXPECT_EQ(code(memory + "/none"), POCKET_NOT_FOUND);
  EXPECT_EQ(code(memory + "/folder"), POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(code(memory + "/a/../a"), POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(code(memory + "x"), POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(code("/etc"), POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(code(""), POCKET_INVALID_ARGUMENT);
}

TEST(Host, FindsFrozenProcesses) {
  FakeTree fake;
  const std::string freezer = fake.mount_v1("freezer");
  fake.process("10", "6:freezer:/docker/1\n");
  fake.process("11", "6:freezer:/\n");
  fake.write(freezer + "/docker/1/cgroup.procs", "10\n");
  fake.write(freezer + "/docker/1/freezer.state", "FREEZING\n");
  EXPECT_TRUE(*Host::detect(fake.proc()).frozen(10));
  EXPECT_FALSE(*Host::detect(fake.proc()).frozen(11));
  fake.write(freezer + "/docker/1/freezer.state", "THAWED\n");
  EXPECT_FALSE(*Host::detect(fake.proc()).frozen(10));
}

TEST(EffectiveLimit, IsTheSmallestFractionOnTheWayUp) {
  FakeTree fake;
  const std::string cpu = fake.mount_v1("cpu");
  fake.v1_cpu(cpu + "/a", "30000", "100000");
  fake.v1_cpu(cpu + "/a/b", "10000", "20000");  // a smaller number, a larger share
  fake.v1_cpu(cpu + "/a/b/c", "-1", "100000");
  const Host host = Host::detect(fake.proc());
  auto limit = effective_limit(host, Controller::kCpu, cpu + "/a/b/c");
  ASSERT_TRUE(limit.ok()) << limit.error().message;
  EXPECT_EQ(limit->nearest, cpu + "/a/b");
  EXPECT_EQ(limit->tightest, cpu + "/a");
  EXPECT_EQ(limit->cpu, (CpuLimit{30000, 100000}));
  limit = effective_limit(host, Controller::kCpu, cpu + "/");
  ASSERT_TRUE(limit.ok()) << limit.error().message;
  EXPECT_FALSE(limit->limited());
  EXPECT_EQ(limit->nearest, "");
  EXPECT_EQ(effective_limit(host, Controller::kCpu, cpu + "/no").error().code, POCKET_NOT_FOUND);
}

TEST(EffectiveLimit, SkipsGroupsWithoutTheController) {
  FakeTree fake;
  const std::string tree = fake.mount_v2("cpu memory");
  fake.v2_group(tree + "/a", "max 100000", "1048576");
  fake.v2_group(tree + "/a/b", "", "max");
  fake.v2_group(tree + "/a/b/c", "", "");
  const Host host = Host::detect(fake.proc());
  auto memory = effective_limit(host, Controller::kMemory, tree + "/a/b/c");
  ASSERT_TRUE(memory.ok()) << memory.error().message;
  EXPECT_EQ(memory->memory, 1048576);
  EXPECT_EQ(memory->nearest, tree + "/a");
  EXPECT_FALSE(effective_limit(host, Controller::kCpu, tree + "/a/b/c")->limited());
}

TEST(EffectiveLimit, ComparesFractionsExactly) {
  EXPECT_TRUE(smaller({1000, 3000}, {1001, 3000}));
  EXPECT_FALSE(smaller({1000, 3000}, {2000, 6000}));
  EXPECT_TRUE(smaller({INT64_MAX - 1, 1'000'000}, {INT64_MAX, 1'000'000}));
  EXPECT_TRUE(smaller({1000, 1000}, {-1, 1000}));
  EXPECT_FALSE(smaller({-1, 1000}, {-1, 1000}));
  EXPECT_FALSE(smaller({-1, 1000}, {1000, 1000}));
}

}  // namespace
}  // namespace pocket::cgroup
