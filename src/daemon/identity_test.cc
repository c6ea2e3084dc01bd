#include "daemon/identity.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace pocket::daemon {
namespace {

const std::string kId(64, 'a');

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest() {
    std::string pattern = ::testing::TempDir() + "pocket-identity-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    process("self", "0::/system.slice/pocketd.service\n", "");
  }
  ~IdentityTest() override { std::filesystem::remove_all(root_); }
  void process(const std::string& pid, const std::string& groups, const std::string& numbers) {
    std::filesystem::create_directories(root_ + "/" + pid);
    std::ofstream(root_ + "/" + pid + "/cgroup") << groups;
    std::ofstream(root_ + "/" + pid + "/status") << "Name:\tx\nNSpid:" << numbers << "\nUid:\t0\n";
  }
  /// A peer whose process is this one, which lives.
  static ipc::PeerIdentity peer(pid_t pid) {
    return {pid, 1000, 1000, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)))};
  }
  std::string root_;
};

TEST_F(IdentityTest, GroupsAreEachToldOnceAndTheRootIsNone) {
  process("7", "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/y\n0::/\n",
          "\t7");
  const ClientIdentity client = identify(peer(7), "/s", root_);
  EXPECT_EQ(client.groups, "/docker/x\n/docker/y\n");
  EXPECT_EQ(client.group(), "/docker/x");
  EXPECT_EQ(client.uid, 1000U);
  EXPECT_EQ(client.socket, "/s");
  EXPECT_TRUE(client.local);
}

TEST_F(IdentityTest, AnInnerPidNamespaceOrAContainerIsNotLocal) {
  process("7", "0::/user.slice\n", "\t7\t1");
  EXPECT_FALSE(identify(peer(7), "/s", root_).local);
  process("8", "0::/docker/" + kId + "\n", "\t8");  // --pid=host
  EXPECT_FALSE(identify(peer(8), "/s", root_).local);
  process("self", "0::/docker/" + kId + "\n", "\t2");  // the service is in that container itself
  EXPECT_TRUE(identify(peer(8), "/s", root_).local);
  process("9", "0::/docker/" + std::string(64, 'b') + "\n", "\t9");
  EXPECT_FALSE(identify(peer(9), "/s", root_).local);
}

TEST_F(IdentityTest, WhoIsNotVisibleOrHasEndedIsNobody) {
  process("7", "0::/user.slice\n", "\t7");
  EXPECT_FALSE(identify(peer(0), "/s", root_).local);
  EXPECT_FALSE(identify(peer(99), "/s", root_).local);
  ipc::PeerIdentity without = peer(7);
  without.pidfd.reset();
  EXPECT_FALSE(identify(without, "/s", root_).local);

  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ipc::PeerIdentity ended = peer(7);
  ended.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const ClientIdentity client = identify(ended, "/s", root_);
  EXPECT_FALSE(client.local);
  EXPECT_EQ(client.groups, "");
}

TEST(SameClient, OneUserInOneContainerOrOutsideOfAny) {
  const auto client = [](uid_t uid, bool local, const std::string& groups) {
    ClientIdentity identity;
    identity.uid = uid;
    identity.local = local;
    identity.groups = groups;
    return identity;
  };
  const ClientIdentity here = client(1000, true, "/session-1\n");
  EXPECT_TRUE(here.is_same_client(client(1000, true, "/session-2\n")));
  EXPECT_FALSE(here.is_same_client(client(1001, true, "/session-1\n")));
  EXPECT_FALSE(here.is_same_client(client(1000, false, "/session-1\n")));
  const ClientIdentity inside = client(1000, false, "/docker/a\n");
  EXPECT_TRUE(inside.is_same_client(client(1000, false, "/docker/a\n")));
  EXPECT_FALSE(inside.is_same_client(client(1000, false, "/docker/b\n")));
  EXPECT_FALSE(inside.is_same_client(client(0, false, "/docker/a\n")));
  // Where the kernel tells no groups, nothing tells containers apart.
  EXPECT_FALSE(client(1000, false, "").is_same_client(client(1000, false, "")));
}

TEST(GroupFits, StarsStayWithinOneNameAndGroupsBelowCount) {
  EXPECT_TRUE(group_fits("/docker/x\n", "/docker/*"));
  EXPECT_TRUE(group_fits("/docker/x/inner/deep\n", "/docker/*"));
  EXPECT_TRUE(group_fits("/a\n/kids/x\n", "/kids"));
  EXPECT_TRUE(group_fits("/kids-7/x\n", "/kids-?"));
  EXPECT_FALSE(group_fits("/docker\n", "/docker/*"));
  EXPECT_FALSE(group_fits("/user.slice/docker/x\n", "/docker/*"));
  EXPECT_FALSE(group_fits("/user.slice/docker/x\n", "*docker*"));
  EXPECT_FALSE(group_fits("/dockers/x\n", "/docker/*"));
  EXPECT_FALSE(group_fits("", "/*"));
}

TEST(ContainerFits, IdsAndNames) {
  const std::string docker = "/docker/" + kId + "\n";
  EXPECT_TRUE(container_fits(docker, "aaaa*"));
  EXPECT_TRUE(container_fits(docker, "docker aaaaaaaaaaaa"));
  EXPECT_FALSE(container_fits(docker, "bbbb*"));
  EXPECT_FALSE(container_fits(docker, "podman*"));
  EXPECT_TRUE(container_fits("/system.slice/camera.service\n", "systemd camera.service"));
  EXPECT_FALSE(container_fits("/some/group\n", "*"));
  EXPECT_FALSE(container_fits("", "*"));
}

}  // namespace
}  // namespace pocket::daemon
