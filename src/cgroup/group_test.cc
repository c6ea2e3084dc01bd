// Group on plain files: what is read and written, in both versions.
#include "cgroup/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cgroup/fake_tree.h"

namespace pocket::cgroup {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int64_t kMega = 1 << 20;

class GroupFiles : public testing::Test {
 protected:
  Group open(Controller controller, bool v2) {
    auto group = Group::open({controller, v2, path_, path_ + "/acct", path_ + "/freeze"});
    EXPECT_TRUE(group.ok()) << group.error().message;
    return std::move(group).value();
  }
  void put(const std::string& file, const std::string& text) {
    fake_.write(path_ + "/" + file, text);
  }
  /// Plain files keep what a shorter write does not cover, so they are emptied first.
  std::string written(const std::string& file) { return fake_.read(path_ + "/" + file); }

  FakeTree fake_;
  std::string path_ = fake_.path() + "/group";
};

TEST_F(GroupFiles, CpuV1) {
  fake_.v1_cpu(path_, "-1", "100000");
  put("cpu.stat", "nr_periods 7\nnr_throttled 3\nthrottled_time 12345\n");
  put("acct/cpuacct.usage", "987654321\n");
  Group group = open(Controller::kCpu, false);
  EXPECT_FALSE(group.is_root());
  EXPECT_EQ(*group.cpu_limit(), (CpuLimit{-1, 100000}));
  put("cpu.cfs_quota_us", "");
  ASSERT_TRUE(group.set_cpu_quota(25000).ok());
  EXPECT_EQ(written("cpu.cfs_quota_us"), "25000");
  EXPECT_EQ(*group.cpu_limit(), (CpuLimit{25000, 100000}));
  auto use = group.cpu_use();
  ASSERT_TRUE(use.ok()) << use.error().message;
  EXPECT_EQ(use->usage_ns, 987654321u);
  EXPECT_EQ(use->periods, 7u);
  EXPECT_EQ(use->throttled_periods, 3u);
  EXPECT_EQ(use->throttled_ns, 12345u);
}

TEST_F(GroupFiles, TheWeightIsThatOfV1OnBoth) {
  fake_.v1_cpu(path_, "-1", "100000");
  put("cpu.shares", "1024\n");
  Group first = open(Controller::kCpu, false);
  EXPECT_EQ(*first.cpu_shares(), kUsualCpuShares);
  put("cpu.shares", "");
  ASSERT_TRUE(first.set_cpu_shares(11264).ok());
  EXPECT_EQ(written("cpu.shares"), "11264");
  put("cpu.shares", "");
  ASSERT_TRUE(first.set_cpu_shares(int64_t{1} << 40).ok());
  EXPECT_EQ(written("cpu.shares"), "262144");
  put("cpu.weight", "100\n");
  put("cgroup.events", "populated 0\n");
  Group second = open(Controller::kCpu, true);
  EXPECT_EQ(*second.cpu_shares(), kUsualCpuShares);
  put("cpu.weight", "");
  ASSERT_TRUE(second.set_cpu_shares(11264).ok());
  EXPECT_EQ(written("cpu.weight"), "1100");
}

TEST_F(GroupFiles, CpuV1WithoutAccountingSaysSo) {
  fake_.v1_cpu(path_, "-1", "100000");
  put("cpu.stat", "nr_periods 7\n");
  const auto use = open(Controller::kCpu, false).cpu_use();
  EXPECT_EQ(use.error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_THAT(use.error().message, HasSubstr("cpuacct"));
}

TEST_F(GroupFiles, CpuV2) {
  fake_.v2_group(path_, "max 50000", "");
  put("cpu.stat",
      "usage_usec 1500\nuser_usec 1000\nnr_periods 2\nnr_throttled 1\nthrottled_usec 9\n");
  Group group = open(Controller::kCpu, true);
  EXPECT_FALSE(group.is_root());
  EXPECT_EQ(*group.cpu_limit(), (CpuLimit{-1, 50000}));
  put("cpu.max", "20000 100000\n");
  EXPECT_EQ(*group.cpu_limit(), (CpuLimit{20000, 100000}));
  put("cpu.max", "");
  ASSERT_TRUE(group.set_cpu_quota(30000).ok());
  EXPECT_EQ(written("cpu.max"), "30000");  // the kernel keeps the period
  put("cpu.max", "");
  ASSERT_TRUE(group.set_cpu_limit({-1, 20000}).ok());
  EXPECT_EQ(written("cpu.max"), "max 20000");
  EXPECT_EQ(group.cpu_use()->usage_ns, 1'500'000u);
  EXPECT_EQ(group.cpu_use()->throttled_ns, 9000u);
  for (const char* bad : {"", "5", "x 100000", "10 y", "max"}) {
    put("cpu.max", bad);
    EXPECT_EQ(group.cpu_limit().error().code, POCKET_DATA_LOSS) << bad;
  }
}

TEST_F(GroupFiles, RefusesLimitsThatCannotBe) {
  fake_.v2_group(path_, "max 100000", "max");
  Group cpu = open(Controller::kCpu, true);
  for (const CpuLimit& bad : {CpuLimit{0}, CpuLimit{-2}, CpuLimit{999}, CpuLimit{INT64_MIN},
                              CpuLimit{1000, 999}, CpuLimit{1000, 1000001}}) {
    EXPECT_EQ(cpu.set_cpu_limit(bad).error().code, POCKET_INVALID_ARGUMENT) << bad.quota_us;
  }
  EXPECT_EQ(cpu.set_cpu_quota(0).error().code, POCKET_INVALID_ARGUMENT);
  Group memory = open(Controller::kMemory, true);
  EXPECT_EQ(memory.set_memory_limit(-2).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(memory.set_cpu_quota(5000).error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_EQ(cpu.memory_limit().error().code, POCKET_FAILED_PRECONDITION);
  EXPECT_EQ(written("cpu.max") + written("memory.max"), "max 100000\nmax\n");
}

TEST_F(GroupFiles, MemoryV1) {
  fake_.v1_memory(path_, "9223372036854771712");
  put("memory.usage_in_bytes", "50000000\n");
  put("memory.max_usage_in_bytes", "60000000\n");
  put("memory.stat",
      "inactive_file 1\ntotal_inactive_file 30000\ntotal_dirty 6000\ntotal_writeback 4000\n");
  Group group = open(Controller::kMemory, false);
  EXPECT_EQ(*group.memory_limit(), -1);
  EXPECT_EQ(*group.memory_and_swap_limit(), -1);
  EXPECT_EQ(group.memory_use()->usage, 50000000u);
  EXPECT_EQ(group.memory_use()->reclaimable, 20000u);
  EXPECT_EQ(*group.memory_peak(), 60000000u);
  put("memory.limit_in_bytes", "");
  ASSERT_TRUE(group.set_memory_limit(64 * kMega).ok());
  EXPECT_EQ(written("memory.limit_in_bytes"), "67108864");
  put("memory.limit_in_bytes", "");
  ASSERT_TRUE(group.set_memory_limit(-1).ok());
  EXPECT_EQ(written("memory.limit_in_bytes"), "-1");
}

TEST_F(GroupFiles, SwapAllowanceMovesAlongOnV1) {
  fake_.v1_memory(path_, "10000000");
  put("memory.memsw.limit_in_bytes", "15000000\n");
  Group group = open(Controller::kMemory, false);
  EXPECT_EQ(*group.memory_and_swap_limit(), 15000000);
  ASSERT_TRUE(group.set_memory_limit(20000000).ok());
  EXPECT_THAT(written("memory.limit_in_bytes"), StartsWith("20000000"));
  EXPECT_THAT(written("memory.memsw.limit_in_bytes"), StartsWith("25000000"));
  ASSERT_TRUE(group.set_memory_limit(10000000).ok());
  EXPECT_THAT(written("memory.memsw.limit_in_bytes"), StartsWith("15000000"));
  EXPECT_EQ(group.set_memory_limits(10, 9).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(group.set_memory_limits(-1, 9).error().code, POCKET_INVALID_ARGUMENT);
}

TEST_F(GroupFiles, MemoryV2) {
  fake_.v2_group(path_, "", "max");
  put("memory.current", "50000000\n");
  put("memory.stat", "anon 5\ninactive_file 30000\nfile_dirty 6000\nfile_writeback 4000\n");
  Group group = open(Controller::kMemory, true);
  EXPECT_EQ(*group.memory_limit(), -1);
  EXPECT_EQ(group.memory_use()->reclaimable, 20000u);
  EXPECT_EQ(group.memory_peak().error().code, POCKET_UNIMPLEMENTED);
  put("memory.peak", "70000000\n");
  EXPECT_EQ(*group.memory_peak(), 70000000u);
  put("memory.max", "60000000\n");
  EXPECT_EQ(*group.memory_limit(), 60000000);
  ASSERT_TRUE(group.set_memory_limit(70000000).ok());
  EXPECT_THAT(written("memory.max"), StartsWith("70000000"));
}

TEST_F(GroupFiles, V2NeverWritesALimitThatWouldKill) {
  fake_.v2_group(path_, "", "60000000");
  put("memory.current", "50000000\n");
  put("memory.stat", "inactive_file 5000000\n");
  Group group = open(Controller::kMemory, true);
  const auto refused = group.set_memory_limit(44000000);  // even without all cache too small
  EXPECT_EQ(refused.error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error().message, HasSubstr("50000000"));
  EXPECT_EQ(written("memory.max"), "60000000\n");
  // Enough could be reclaimed, but this kernel has no way to do that without killing.
  EXPECT_EQ(group.set_memory_limit(46000000).error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_EQ(written("memory.max"), "60000000\n");
  // It is asked for what is too much; here nothing comes of it.
  put("memory.reclaim", "");
  EXPECT_EQ(group.set_memory_limit(46000000).error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_EQ(written("memory.reclaim"), "4000000");
  EXPECT_EQ(written("memory.max"), "60000000\n");
  ASSERT_TRUE(group.set_memory_limit(50000000).ok());
  EXPECT_THAT(written("memory.max"), StartsWith("50000000"));
}

TEST_F(GroupFiles, RootHasNothingToChange) {
  put("cgroup.procs", "");
  for (const bool v2 : {true, false}) {
    if (!v2) put("release_agent", "");
    Group cpu = open(Controller::kCpu, v2);
    EXPECT_TRUE(cpu.is_root());
    EXPECT_FALSE(cpu.cpu_limit()->limited());
    const auto refused = cpu.set_cpu_quota(50000);
    EXPECT_EQ(refused.error().code, POCKET_FAILED_PRECONDITION);
    EXPECT_THAT(refused.error().message, HasSubstr("root group"));
    Group memory = open(Controller::kMemory, v2);
    EXPECT_EQ(*memory.memory_limit(), -1);
    EXPECT_EQ(memory.set_memory_limit(kMega).error().code, POCKET_FAILED_PRECONDITION);
    EXPECT_FALSE(*memory.frozen());
  }
}

TEST_F(GroupFiles, FrozenV2) {
  fake_.v2_group(path_, "", "max");
  Group group = open(Controller::kMemory, true);
  EXPECT_FALSE(*group.frozen());
  put("cgroup.freeze", "1\n");  // about to be
  EXPECT_TRUE(*group.frozen());
  put("cgroup.freeze", "0\n");
  EXPECT_FALSE(*group.frozen());
  put("cgroup.events", "populated 1\nfrozen 1\n");  // by a parent
  EXPECT_TRUE(*group.frozen());
}

TEST_F(GroupFiles, FrozenV1) {
  fake_.v1_memory(path_, "-1");
  Group group = open(Controller::kMemory, false);
  EXPECT_FALSE(*group.frozen());
  put("freeze/cgroup.procs", "");
  put("freeze/freezer.state", "FROZEN\n");
  EXPECT_TRUE(*group.frozen());
}

TEST_F(GroupFiles, NonsenseIsNoNumber) {
  fake_.v1_memory(path_, "lots");
  put("memory.usage_in_bytes", "");
  Group group = open(Controller::kMemory, false);
  EXPECT_EQ(group.memory_limit().error().code, POCKET_DATA_LOSS);
  const auto usage = group.memory_usage();
  EXPECT_EQ(usage.error().code, POCKET_DATA_LOSS);
  EXPECT_THAT(usage.error().message, HasSubstr("memory.usage_in_bytes"));
  EXPECT_THAT(usage.error().message, HasSubstr(path_));
}

}  // namespace
}  // namespace pocket::cgroup
