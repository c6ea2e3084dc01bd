#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/ledger_place.h"
#include "cgroup/fake_tree.h"
#include "cli/doctor.h"

namespace pocket::cli {
namespace {

using cgroup::FakeTree;
using cgroup::Host;
using testing::HasSubstr;
using testing::Not;

std::vector<cgroup::Mount> mounts_of(const FakeTree& fake) {
  return cgroup::parse_mounts(*cgroup::read_text(fake.proc() + "/self/mountinfo"));
}

std::string own_pid() { return std::to_string(::getpid()); }

TEST(DoctorLending, CpuAndCpuacctInOneTree) {
  FakeTree fake;
  fake.mount_v1("cpu,cpuacct");
  fake.mount_v1("memory");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(check_cgroups(host).verdict, Verdict::kOk);
  EXPECT_THAT(check_cgroups(host).text, HasSubstr("v1: cpu on v1"));
  const Check check = check_accounting(host, mounts_of(fake));
  EXPECT_EQ(check.verdict, Verdict::kOk);
  EXPECT_THAT(check.text, HasSubstr("cpu's own tree"));
}

TEST(DoctorLending, CpuAndCpuacctApartOrMissing) {
  FakeTree fake;
  fake.mount_v1("cpu");
  Check check = check_accounting(Host::detect(fake.proc()), mounts_of(fake));
  EXPECT_EQ(check.verdict, Verdict::kWarning);
  EXPECT_THAT(check.text, HasSubstr("cpuacct is not mounted"));
  const std::string counted = fake.mount_v1("cpuacct");
  check = check_accounting(Host::detect(fake.proc()), mounts_of(fake));
  EXPECT_EQ(check.verdict, Verdict::kOk);
  EXPECT_THAT(check.text, HasSubstr(counted + ", a tree beside cpu's"));
}

TEST(DoctorLending, ControllersSplitBetweenTheTrees) {
  FakeTree fake;
  fake.mount_v1("memory");
  fake.mount_v2("cpu");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(check_cgroups(host).verdict, Verdict::kOk);
  EXPECT_THAT(check_cgroups(host).text, HasSubstr("hybrid: cpu on v2"));
  EXPECT_THAT(check_accounting(host, mounts_of(fake)).text, HasSubstr("cpu.stat of v2"));
  EXPECT_THAT(check_lending(host, ::getpid()).text, HasSubstr("can lend cpu and memory"));
}

TEST(DoctorLending, WhatIsMissingIsSaid) {
  FakeTree fake;
  fake.mount_v2("cpu");
  const Host half = Host::detect(fake.proc());
  EXPECT_EQ(check_cgroups(half).verdict, Verdict::kWarning);
  const Check lending = check_lending(half, ::getpid());
  EXPECT_EQ(lending.verdict, Verdict::kWarning);
  EXPECT_THAT(lending.text, HasSubstr("can lend cpu;"));
  EXPECT_THAT(lending.text, HasSubstr("the memory controller is missing"));
  FakeTree none;
  EXPECT_THAT(check_lending(Host::detect(none.proc()), ::getpid()).text,
              HasSubstr("can lend nothing;"));
}

TEST(DoctorLending, WhatAClientFromHereWouldLend) {
  FakeTree fake;
  const std::string tree = fake.mount_v2("cpu memory");
  fake.process(own_pid(), "0::/app\n");
  fake.v2_group(tree + "/app", "25000 100000", "max");
  EXPECT_THAT(check_lending(Host::detect(fake.proc()), ::getpid()).text,
              HasSubstr("lends from its limit of 0.25 cpus"));
  fake.v2_group(tree + "/app", "max 100000", "max");
  const Check check = check_lending(Host::detect(fake.proc()), ::getpid());
  EXPECT_EQ(check.verdict, Verdict::kOk);
  EXPECT_THAT(check.text, HasSubstr("has no limit, so it lends nothing"));
}

TEST(DoctorLending, Swap) {
  FakeTree fake;
  const std::string tree = fake.mount_v1("memory");
  const Host host = Host::detect(fake.proc());
  const std::string some = "MemTotal: 100 kB\nSwapTotal:  2048 kB\n";
  EXPECT_EQ(check_swap(host, some).verdict, Verdict::kWarning);
  EXPECT_THAT(check_swap(host, some).text, HasSubstr("swapaccount=1"));
  EXPECT_EQ(check_swap(host, "SwapTotal: 0 kB\n").verdict, Verdict::kOk);
  EXPECT_THAT(check_swap(host, "SwapTotal: 0 kB\n").text, HasSubstr("none on this machine"));
  fake.write(tree + "/memory.memsw.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(check_swap(host, some).verdict, Verdict::kOk);
  EXPECT_THAT(check_swap(host, some).text, HasSubstr("memory.memsw"));
}

TEST(DoctorLending, SwapOnV2) {
  FakeTree fake;
  const std::string tree = fake.mount_v2("cpu memory");
  fake.v2_group(tree + "/app", "max 100000", "max");
  const Host host = Host::detect(fake.proc());
  EXPECT_EQ(check_swap(host, "SwapTotal: 2048 kB\n").verdict, Verdict::kWarning);
  fake.write(tree + "/app/memory.swap.max", "max\n");
  EXPECT_EQ(check_swap(host, "SwapTotal: 2048 kB\n").verdict, Verdict::kOk);
}

TEST(DoctorLending, LedgerOnTmpfsOrNot) {
  const Check check = check_ledger("/tmp/pocket.sock");
  const bool tmpfs = default_ledger("/tmp/pocket.sock") != "/tmp/pocket.sock.ledger";
  EXPECT_EQ(check.verdict, tmpfs ? Verdict::kOk : Verdict::kWarning) << check.text;
  EXPECT_THAT(check.text, HasSubstr(tmpfs ? ", on tmpfs" : "not on tmpfs"));
}

TEST(DoctorLending, BudgetsOfTheService) {
  EXPECT_EQ(check_budgets({}).verdict, Verdict::kOk);
  const Check check = check_budgets({"nothing is lent: x", "y"});
  EXPECT_EQ(check.verdict, Verdict::kWarning);
  EXPECT_THAT(check.text, HasSubstr("nothing is lent: x; y"));
}

}  // namespace
}  // namespace pocket::cli
