// Real groups on this machine, whatever its layout: each test makes its own and removes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cgroup/effective.h"
#include "cgroup/host.h"
#include "cgroup/real_child.h"

namespace pocket::cgroup {
namespace {

using testing::HasSubstr;
using Order = RealChild::Order;

constexpr int64_t kMega = 1 << 20;

std::string test_name(const std::string& rest) {
  return "pocket-test-" + std::to_string(::getpid()) + rest;
}

class RealGroups : public testing::Test {
 protected:
  OwnedGroup make(const std::string& rest = "") {
    auto group = host_.create(test_name(rest));
    EXPECT_TRUE(group.ok()) << group.error().message;
    return std::move(group).value();
  }
  Group open(Controller controller, const std::string& path) {
    auto group = host_.open(controller, path);
    EXPECT_TRUE(group.ok()) << group.error().message;
    return std::move(group).value();
  }
  void TearDown() override {
    for (const Controller controller : kBoth) {
      EXPECT_FALSE(std::filesystem::exists(host_.mount_point(controller) + "/" + test_name("")));
    }
  }

  const Host host_ = Host::detect();
};

#define ASSERT_DONE(expression)                                              \
  do {                                                                       \
    const auto done_ = (expression);                                         \
    ASSERT_TRUE(done_.ok()) << #expression << ": " << done_.error().message; \
  } while (false)

TEST_F(RealGroups, FindsTheGroupsOfAProcess) {
  OwnedGroup group = make("/one");
  RealChild child;
  ASSERT_DONE(group.add(child.pid()));
  EXPECT_EQ(*host_.group_of(Controller::kCpu, child.pid(), child.pidfd()), group.cpu().path());
  EXPECT_EQ(*host_.group_of(Controller::kMemory, child.pid()), group.memory().path());
  EXPECT_EQ(*group.processes(), std::vector<pid_t>{child.pid()});
  EXPECT_EQ(host_.label(Controller::kMemory, group.memory().path()), "group /" + test_name("/one"));
  // It dies: first a zombie, then nothing.
  child.kill();
  child.wait_dead();
  EXPECT_EQ(host_.group_of(Controller::kCpu, child.pid(), child.pidfd()).error().code,
            POCKET_UNAVAILABLE);
  const pid_t pid = child.pid();
  child.end();
  EXPECT_EQ(host_.group_of(Controller::kMemory, pid).error().code, POCKET_UNAVAILABLE);
  EXPECT_EQ(group.add(pid).error().code, POCKET_NOT_FOUND);
  EXPECT_EQ(group.add(0).error().code, POCKET_INVALID_ARGUMENT);
}

TEST_F(RealGroups, CpuLimitsWithAnyPeriod) {
  OwnedGroup group = make();
  EXPECT_EQ(*group.cpu().cpu_limit(), (CpuLimit{-1, 100000}));
  for (const CpuLimit& limit :
       {CpuLimit{50000, 100000}, CpuLimit{20000, 20000}, CpuLimit{150000, 1000000},
        CpuLimit{1000, 1000}, CpuLimit{-1, 30000}, CpuLimit{333333, 777777},
        CpuLimit{-1, 100000}}) {
    ASSERT_DONE(group.cpu().set_cpu_limit(limit));
    EXPECT_EQ(*group.cpu().cpu_limit(), limit);
  }
  ASSERT_DONE(group.cpu().set_cpu_limit({40000, 50000}));
  ASSERT_DONE(group.cpu().set_cpu_quota(12345));
  EXPECT_EQ(*group.cpu().cpu_limit(), (CpuLimit{12345, 50000}));
  ASSERT_DONE(group.cpu().set_cpu_quota(-1));
  EXPECT_EQ(*group.cpu().cpu_limit(), (CpuLimit{-1, 50000}));
}

TEST_F(RealGroups, NestedCpuLimits) {
  OwnedGroup outer = make();
  OwnedGroup inner = make("/in");
  ASSERT_DONE(outer.cpu().set_cpu_limit({50000, 100000}));
  auto limit = effective_limit(host_, Controller::kCpu, inner.cpu().path());
  ASSERT_TRUE(limit.ok()) << limit.error().message;
  EXPECT_EQ(limit->nearest, outer.cpu().path());
  EXPECT_EQ(limit->cpu, (CpuLimit{50000, 100000}));
  ASSERT_DONE(inner.cpu().set_cpu_limit({10000, 50000}));
  limit = effective_limit(host_, Controller::kCpu, inner.cpu().path());
  EXPECT_EQ(limit->tightest, inner.cpu().path());
  if (host_.is_v2(Controller::kCpu)) return;
  // v1 keeps shares in a hierarchy. Nothing is changed by a refusal, also not half.
  const auto larger = inner.cpu().set_cpu_quota(30000);
  EXPECT_EQ(larger.error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_THAT(larger.error().message, HasSubstr(outer.cpu().path() + "' has 50000 us in 100000"));
  EXPECT_EQ(inner.cpu().set_cpu_limit({90000, 100000}).error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_EQ(*inner.cpu().cpu_limit(), (CpuLimit{10000, 50000}));
  EXPECT_EQ(outer.cpu().set_cpu_quota(10000).error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_EQ(*outer.cpu().cpu_limit(), (CpuLimit{50000, 100000}));
}

TEST_F(RealGroups, CountsProcessorTimeAndThrottling) {
  OwnedGroup group = make();
  RealChild child;
  ASSERT_DONE(group.cpu().set_cpu_limit({5000, 50000}));
  ASSERT_DONE(group.add(child.pid()));
  ASSERT_TRUE(child.tell(Order::kBurn, 30'000'000));
  auto use = group.cpu().cpu_use();
  ASSERT_TRUE(use.ok()) << use.error().message;
  EXPECT_GE(use->usage_ns, 25'000'000u);
  EXPECT_GE(use->throttled_periods, 1u);
  EXPECT_GE(use->periods, use->throttled_periods);
  EXPECT_GT(use->throttled_ns, 0u);
  child.end();
}

TEST_F(RealGroups, MemoryLimitsNeverCutIntoWhatIsUsed) {
  OwnedGroup group = make();
  RealChild child;
  EXPECT_EQ(*group.memory().memory_limit(), -1);
  ASSERT_DONE(group.memory().set_memory_limit(64 * kMega));
  ASSERT_DONE(group.add(child.pid()));
  ASSERT_TRUE(child.tell(Order::kTouch, 32 * kMega));
  const auto use = group.memory().memory_use();
  ASSERT_TRUE(use.ok()) << use.error().message;
  EXPECT_GE(use->usage, static_cast<uint64_t>(32 * kMega));
  EXPECT_LT(use->usage - use->reclaimable, static_cast<uint64_t>(48 * kMega));
  EXPECT_GE(*group.memory().memory_peak(), static_cast<uint64_t>(32 * kMega));
  EXPECT_EQ(effective_limit(host_, Controller::kMemory, group.memory().path())->memory, 64 * kMega);
  const auto refused = group.memory().set_memory_limit(16 * kMega);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, POCKET_RESOURCE_EXHAUSTED) << refused.error().message;
  EXPECT_THAT(refused.error().message, HasSubstr(group.memory().path()));
  EXPECT_EQ(*group.memory().memory_limit(), 64 * kMega);
  ASSERT_DONE(group.memory().set_memory_limit(48 * kMega));
  EXPECT_TRUE(child.tell(Order::kTouch, 0x1000));  // it is well
  ASSERT_DONE(group.memory().set_memory_limit(-1));
  EXPECT_EQ(*group.memory().memory_limit(), -1);
  child.end();
}

TEST_F(RealGroups, CacheGoesWhenTheLimitIsLowered) {
  const std::string file = "/tmp/" + test_name("-cache");
  struct statfs filesystem {};
  ASSERT_EQ(::statfs("/tmp", &filesystem), 0);
  if (filesystem.f_type == TMPFS_MAGIC || filesystem.f_type == RAMFS_MAGIC) {
    GTEST_SKIP() << "/tmp lies in memory: files in it are no cache that could go";
  }
  OwnedGroup group = make();
  RealChild child(file.c_str());
  ASSERT_DONE(group.memory().set_memory_limit(64 * kMega));
  ASSERT_DONE(group.add(child.pid()));
  const bool written = child.tell(Order::kWrite, 32 * kMega);
  const auto use = group.memory().memory_use();
  const auto lowered = group.memory().set_memory_limit(16 * kMega);
  std::filesystem::remove(file);
  ASSERT_TRUE(written && use.ok());
  EXPECT_GE(use->reclaimable, static_cast<uint64_t>(24 * kMega));
  ASSERT_TRUE(lowered.ok()) << lowered.error().message;
  EXPECT_LE(*group.memory().memory_usage(), static_cast<uint64_t>(16 * kMega));
  EXPECT_TRUE(child.tell(Order::kTouch, 0x1000));
  child.end();
}

TEST_F(RealGroups, SwapLimitMovesAlong) {
  OwnedGroup group = make();
  if (!std::filesystem::exists(group.memory().path() + "/memory.memsw.limit_in_bytes")) {
    GTEST_SKIP() << "this host does not account memory and swap together (v2, or swapaccount=0)";
  }
  Group& memory = group.memory();
  const auto both = [&] {
    return std::pair(*memory.memory_limit(), *memory.memory_and_swap_limit());
  };
  ASSERT_DONE(
      memory.set_memory_limits(64 * kMega, 64 * kMega));  // no swap, as Docker's users set it
  for (const int64_t mega : {96, 32, 64, 65, 64}) {
    ASSERT_DONE(memory.set_memory_limit(mega * kMega));
    EXPECT_EQ(both(), std::pair(mega * kMega, mega * kMega));
  }
  ASSERT_DONE(memory.set_memory_limits(64 * kMega, 80 * kMega));
  ASSERT_DONE(memory.set_memory_limit(100 * kMega));
  EXPECT_EQ(both(), std::pair(100 * kMega, 116 * kMega));
  ASSERT_DONE(memory.set_memory_limit(64 * kMega));
  EXPECT_EQ(both(), std::pair(64 * kMega, 80 * kMega));
  ASSERT_DONE(memory.set_memory_limits(100 * kMega, -1));
  EXPECT_EQ(both(), std::pair(100 * kMega, int64_t{-1}));
  ASSERT_DONE(memory.set_memory_limits(10 * kMega, 12 * kMega));
  EXPECT_EQ(both(), std::pair(10 * kMega, 12 * kMega));
}

TEST_F(RealGroups, RemovedUnderOurDescriptors) {
  auto group = std::make_unique<OwnedGroup>(make());
  Group cpu = open(Controller::kCpu, group->cpu().path());
  Group memory = open(Controller::kMemory, group->memory().path());
  ASSERT_DONE(cpu.set_cpu_quota(50000));  // opens its files
  ASSERT_DONE(memory.set_memory_limit(64 * kMega));
  group.reset();
  OwnedGroup again = make();  // the name is not the group
  const auto gone = [](const auto& result) {
    return !result.ok() && result.error().code == POCKET_NOT_FOUND &&
           result.error().message.find("group gone") != std::string::npos;
  };
  EXPECT_TRUE(gone(cpu.cpu_limit()));
  EXPECT_TRUE(gone(cpu.set_cpu_quota(40000)));
  EXPECT_TRUE(gone(cpu.set_cpu_limit({40000, 50000})));
  EXPECT_TRUE(gone(cpu.cpu_use()));
  EXPECT_TRUE(gone(cpu.frozen()));
  EXPECT_TRUE(gone(memory.memory_limit()));
  EXPECT_TRUE(gone(memory.set_memory_limit(32 * kMega)));
  EXPECT_TRUE(gone(memory.memory_use()));
  EXPECT_TRUE(gone(memory.memory_peak()));
  EXPECT_EQ(*again.cpu().cpu_limit(), (CpuLimit{-1, 100000}));
}

TEST_F(RealGroups, RootHasNothingToLend) {
  for (const Controller controller : kBoth) {
    Group root = open(controller, host_.mount_point(controller));
    if (!root.is_root()) GTEST_SKIP() << root.path() << " shows only a part of the tree";
    const auto refused =
        controller == Controller::kCpu ? root.set_cpu_quota(50000) : root.set_memory_limit(kMega);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, POCKET_FAILED_PRECONDITION);
    EXPECT_THAT(refused.error().message, HasSubstr("root group"));
    EXPECT_FALSE(effective_limit(host_, controller, root.path())->limited());
  }
}

}  // namespace
}  // namespace pocket::cgroup
