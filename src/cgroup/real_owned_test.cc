// Making, filling, emptying and removing real groups, and hosts that do not let us.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "cgroup/host.h"
#include "cgroup/real_child.h"

namespace pocket::cgroup {
namespace {

using testing::HasSubstr;
using Order = RealChild::Order;

std::string test_name(const std::string& rest) {
  return "pocket-owned-" + std::to_string(::getpid()) + rest;
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

/// What `body` returns, in a child process of its own (0: good), as it changes the whole process.
template <typename Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class RealOwned : public testing::Test {
 protected:
  OwnedGroup make(const std::string& rest = "") {
    auto group = host_.create(test_name(rest));
    EXPECT_TRUE(group.ok()) << group.error().message;
    return std::move(group).value();
  }
  std::string top() { return host_.mount_point(Controller::kCpu) + "/" + test_name(""); }
  void TearDown() override {
    EXPECT_FALSE(exists(top()));
    EXPECT_FALSE(exists(host_.mount_point(Controller::kMemory) + "/" + test_name("")));
  }

  const Host host_ = Host::detect();
};

TEST_F(RealOwned, IsMadeOnceAndRemovedWithItsParents) {
  {
    OwnedGroup shared = make();  // made first, so it is there as long as both below need it
    OwnedGroup group = make("/a/b");
    EXPECT_TRUE(exists(group.cpu().path()) && exists(group.memory().path()));
    EXPECT_TRUE(group.has(Controller::kCpu) && group.has(Controller::kMemory));
    const auto again = host_.create(test_name("/a/b"));
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, POCKET_ALREADY_EXISTS);
    EXPECT_TRUE(exists(group.cpu().path()));  // the failure removed nothing of the first
    OwnedGroup other = make("/c/d");
    OwnedGroup moved = std::move(group);
    EXPECT_TRUE(moved.cpu().cpu_limit().ok());
  }
  EXPECT_FALSE(exists(top()));
}

TEST_F(RealOwned, OnlyWhatIsAskedFor) {
  auto group = host_.create(test_name(""), std::array{Controller::kMemory});
  ASSERT_TRUE(group.ok()) << group.error().message;
  EXPECT_FALSE(group->has(Controller::kCpu));
  EXPECT_EQ(exists(top()),
            host_.mount_point(Controller::kCpu) == host_.mount_point(Controller::kMemory));
  EXPECT_EQ(group->clone_fd() >= 0, host_.is_v2(Controller::kMemory));
}

TEST_F(RealOwned, RefusesNamesThatLeaveTheTree) {
  for (const char* bad : {"", "/", "/x", "x/", "a//b", "..", "a/../b", "./a", "a\nb"}) {
    const auto refused = host_.create(bad);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.error().code, POCKET_INVALID_ARGUMENT) << bad;
  }
}

TEST_F(RealOwned, KillsEverythingInIt) {
  OwnedGroup group = make();
  RealChild first;
  RealChild second;
  ASSERT_TRUE(group.add(first.pid()).ok() && group.add(second.pid()).ok());
  ASSERT_TRUE(first.tell(Order::kFork) && first.tell(Order::kFork));
  EXPECT_EQ(group.processes()->size(), 4u);
  const auto occupied = group.remove(0);
  ASSERT_FALSE(occupied.ok());
  EXPECT_EQ(occupied.error().code, POCKET_BUSY);
  const auto killed = group.kill_all();
  ASSERT_TRUE(killed.ok()) << killed.error().message;
  EXPECT_TRUE(group.processes()->empty());
  const auto removed = group.remove(kNanosecondsPerSecond);
  EXPECT_TRUE(removed.ok()) << removed.error().message;
  EXPECT_FALSE(second.tell(Order::kBurn, 1));  // it is dead
}

TEST_F(RealOwned, NeverKillsItself) {
  OwnedGroup group = make();
  EXPECT_EQ(in_child([&] {
              if (!group.add(::getpid()).ok()) return 1;
              const auto refused = group.kill_all();
              const int good = !refused.ok() && refused.error().code == POCKET_FAILED_PRECONDITION;
              return good ? 0 : 2;
            }),
            0);
}

TEST_F(RealOwned, IsLeftBehindTakenOverAndRemoved) {
  RealChild child;
  {
    OwnedGroup group = make();
    ASSERT_TRUE(group.add(child.pid()).ok());
    group.release();
  }
  EXPECT_TRUE(exists(top()));
  EXPECT_EQ(host_.remove_stale(test_name("")).error().code, POCKET_BUSY);
  {
    auto group = host_.adopt(test_name(""));
    ASSERT_TRUE(group.ok()) << group.error().message;
    EXPECT_EQ(*group->processes(), std::vector<pid_t>{child.pid()});
    group->release();
  }
  child.end();
  EXPECT_TRUE(host_.remove_stale(test_name("")).ok());
  EXPECT_FALSE(exists(top()));
  EXPECT_TRUE(host_.remove_stale(test_name("")).ok());
  EXPECT_EQ(host_.adopt(test_name("")).error().code, POCKET_NOT_FOUND);
}

TEST_F(RealOwned, KeepsProcessesAndChildGroupsApartOnV2) {
  OwnedGroup outer = make();
  RealChild child;
  ASSERT_TRUE(outer.add(child.pid()).ok());
  auto inner = host_.create(test_name("/in"));
  if (!host_.is_v2(Controller::kCpu)) {
    EXPECT_TRUE(inner.ok());  // v1 allows both
  } else {
    ASSERT_FALSE(inner.ok());
    EXPECT_EQ(inner.error().code, POCKET_FAILED_PRECONDITION);
    EXPECT_THAT(inner.error().message, HasSubstr("processes of its own"));
    ASSERT_TRUE(outer.kill_all().ok());
    OwnedGroup second = make("/in");
    RealChild other;
    const auto refused = outer.add(other.pid());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, POCKET_FAILED_PRECONDITION);
  }
  child.end();
}

TEST_F(RealOwned, StartsProcessesInsideOnV2) {
  OwnedGroup group = make();
  if (group.clone_fd() < 0) GTEST_SKIP() << "a process cannot be born in a v1 group";
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(group.clone_fd());
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof(arguments)));
  if (child == 0) {
    while (true) ::pause();
  }
  ASSERT_GT(child, 0);
  EXPECT_EQ(*group.processes(), std::vector<pid_t>{child});
  EXPECT_TRUE(group.kill_all().ok());
  ::waitpid(child, nullptr, 0);
}

TEST_F(RealOwned, SeesFrozenProcesses) {
  OwnedGroup group = make();
  RealChild child;
  ASSERT_TRUE(group.add(child.pid()).ok());
  std::string folder = group.cpu().path();
  std::string file = folder + "/cgroup.freeze";
  const bool v1 = !host_.is_v2(Controller::kCpu);
  if (v1) {  // Pocket makes no groups in the freezer tree; Docker does
    for (const Mount& mount : parse_mounts(*read_text("/proc/self/mountinfo"))) {
      if (mount.has("freezer")) folder = mount.point + "/" + test_name("");
    }
    if (folder == group.cpu().path()) GTEST_SKIP() << "the freezer is not mounted";
    std::filesystem::create_directory(folder);
    std::ofstream(folder + "/cgroup.procs") << child.pid();
    file = folder + "/freezer.state";
  }
  EXPECT_FALSE(*host_.frozen(child.pid(), child.pidfd()));
  EXPECT_FALSE(*group.memory().frozen());
  std::ofstream(file) << (v1 ? "FROZEN" : "1");
  EXPECT_TRUE(*host_.frozen(child.pid(), child.pidfd()));
  EXPECT_TRUE(*group.cpu().frozen());
  EXPECT_TRUE(*group.memory().frozen());
  std::ofstream(file) << (v1 ? "THAWED" : "0");
  EXPECT_FALSE(*group.cpu().frozen());
  child.end();
  EXPECT_TRUE(!v1 || remove_group(folder, kNanosecondsPerSecond).ok());
}

TEST_F(RealOwned, WithoutPermissionOnlyLooks) {
  OwnedGroup group = make();
  EXPECT_EQ(in_child([&] {
              if (::setresuid(65534, 65534, 65534) != 0) return 1;
              const Host host = Host::detect();
              if (host.layout() != Layout::kNone) return 2;
              if (host.why_not(Controller::kCpu).find("root") == std::string::npos) return 3;
              if (host.create("x").error().code != POCKET_FAILED_PRECONDITION) return 4;
              auto cpu = host.open(Controller::kCpu, group.cpu().path());
              if (!cpu.ok() || !cpu->cpu_limit().ok()) return 5;
              if (cpu->set_cpu_quota(50000).error().code != POCKET_PERMISSION_DENIED) return 6;
              auto memory = host.open(Controller::kMemory, group.memory().path());
              if (!memory.ok() || !memory->memory_use().ok()) return 7;
              return memory->set_memory_limit(1 << 26).error().code == POCKET_PERMISSION_DENIED ? 0
                                                                                                : 8;
            }),
            0);
}

TEST_F(RealOwned, ReadOnlyTreesAreToldApart) {
  OwnedGroup group = make();
  const std::string point = host_.mount_point(Controller::kCpu);
  EXPECT_EQ(in_child([&] {
              if (::unshare(CLONE_NEWNS) != 0) return 1;
              if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 2;
              if (::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                          nullptr) != 0) {
                return 3;
              }
              const Host host = Host::detect();
              if (host.why_not(Controller::kCpu).find("read-only") == std::string::npos) return 4;
              auto cpu = host.open(Controller::kCpu, group.cpu().path());
              if (!cpu.ok() || !cpu->cpu_limit().ok()) return 5;
              const auto refused = cpu->set_cpu_quota(50000);
              if (refused.ok() || refused.error().code != POCKET_PERMISSION_DENIED) return 6;
              return refused.error().message.find("read-only") != std::string::npos ? 0 : 7;
            }),
            0);
}

TEST_F(RealOwned, InACgroupNamespaceTheOutsideIsRefused) {
  OwnedGroup group = make();
  RealChild outside;
  EXPECT_EQ(in_child([&] {
              if (!group.add(::getpid()).ok()) return 1;
              if (::unshare(CLONE_NEWCGROUP) != 0) return 2;
              const auto other = Host::detect().group_of(Controller::kCpu, ::getpid());
              // The mounts are older than the namespace: the names between are not known here.
              if (other.ok() || other.error().code != POCKET_PERMISSION_DENIED) return 3;
              return other.error().message.find("cgroupns=host") != std::string::npos ? 0 : 4;
            }),
            0);
}

}  // namespace
}  // namespace pocket::cgroup

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  ::signal(SIGPIPE, SIG_IGN);  // orders to a child that died
  const pocket::cgroup::Host host = pocket::cgroup::Host::detect();
  const std::string why = host.why_not(pocket::cgroup::Controller::kCpu) + " " +
                          host.why_not(pocket::cgroup::Controller::kMemory);
  if (why != " " || ::geteuid() != 0) {
    std::printf("skipped: real groups need root and both controllers; %s\n", why.c_str());
    return 77;
  }
  std::printf("%s\n", host.describe().c_str());
  return RUN_ALL_TESTS();
}
