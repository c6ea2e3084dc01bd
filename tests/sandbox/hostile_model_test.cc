// What a hostile model gets to in its runner: nothing, for each protection by itself. With the list
// of system calls in force most attacks end the runner; without it the other protections must hold.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/unique_fd.h"
#include "null_models.h"
#include "outcome.h"
#include "pocket/pocket.hpp"
#include "sanitized.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::Outcome;
using pocket::testing::outcome_of;
using pocket::testing::write_file;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HostileModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root's service has users to give its runners";
    ::setenv("POCKET_TEST_SECRET", "the-secret-word", 1);
  }

  void start(const std::string& sandbox) {
    const std::string config = service_.folder() + "/pocketd.toml";
    write_file(config, "[sandbox]\n" + sandbox);
    service_.add_null_model("other", pocket::testing::kEcho);
    ASSERT_TRUE(service_.start({"--config", config, "--engine-dir", HOSTILE_ENGINE_DIR}))
        << service_.log();
    // An attack is made once.
    session_.emplace(ConnectOptions{.socket = service_.socket(), .retry = false});
  }

  /// What came of an attack: the engine's words, or how its runner ended.
  std::string attack(const std::string& line) {
    if (!session_) return "no service";  // start() has failed, and said why
    const std::string name = "attack" + std::to_string(++attacks_);
    write_file(service_.models() + "/" + name + "/1/model.onnx", line);
    const Outcome outcome =
        outcome_of([&] { const Model model(*session_, name, {.engine = "hostile"}); });
    return outcome.message;
  }
  std::string service_pid() const { return std::to_string(service_.pid()); }

  pocket::testing::TestService service_;
  std::optional<Session> session_;
  int attacks_ = 0;
};

auto call_is_forbidden(const std::string& call) {
  return AllOf(HasSubstr("stopped by its sandbox"), HasSubstr("on its list: " + call));
}

TEST_F(HostileModelTest, ForbiddenSystemCallsEndTheRunnerAndAreNamed) {
  if (pocket::testing::kSanitized) {
    GTEST_SKIP() << "sanitizers make calls that are not on the list: pocketd names it as missing";
  }
  start("all = 'require'\n");
  EXPECT_THAT(attack("socket"), call_is_forbidden("socket"));
  EXPECT_THAT(attack("exec /bin/true"), call_is_forbidden("execve"));
  EXPECT_THAT(attack("fork-bomb"), call_is_forbidden("clone"));
  EXPECT_THAT(attack("ptrace " + service_pid()), call_is_forbidden("ptrace"));
  EXPECT_THAT(attack("kill " + service_pid()), call_is_forbidden("kill"));
  EXPECT_THAT(attack("read-memory " + service_pid()), call_is_forbidden("process_vm_readv"));
  EXPECT_THAT(attack("root"), call_is_forbidden("setuid"));
  EXPECT_THAT(attack("mount"), call_is_forbidden("mount"));
  EXPECT_THAT(attack("namespace"), call_is_forbidden("unshare"));
  EXPECT_THAT(attack("shared-memory 1"), call_is_forbidden("shmget"));
  // Those that libraries try in good faith are refused.
  EXPECT_THAT(attack("write /x"), HasSubstr("open for writing: Permission denied"));
  EXPECT_THAT(attack("run-memory"), HasSubstr("mprotect: Permission denied"));
  EXPECT_THAT(attack("make-it-wait 3"), HasSubstr("fcntl: Operation not permitted"));
  // The log has it too, and the service lives.
  EXPECT_THAT(service_.log(), HasSubstr("used the system call 'ptrace'"));
  EXPECT_EQ(::kill(service_.pid(), 0), 0);
}

TEST_F(HostileModelTest, AnAbortIsStillToldAsOne) {
  start("");
  EXPECT_THAT(attack("abort"), AllOf(HasSubstr("killed by signal 6"), Not(HasSubstr("sandbox"))));
}

TEST_F(HostileModelTest, SeesOnlyItsModelAndTheLibraries) {
  start("syscalls = 'off'\nall = 'require'\n");
  EXPECT_THAT(attack("read /etc/shadow"), HasSubstr("open: No such file"));
  EXPECT_THAT(attack("list /root"), HasSubstr("opendir: No such file"));
  EXPECT_THAT(attack("list " + service_.folder()),
              AllOf(HasSubstr(" models"), Not(HasSubstr("log"))));
  EXPECT_THAT(attack("list " + service_.models()),
              AllOf(HasSubstr(" attack4"), Not(HasSubstr("other")), Not(HasSubstr("attack1"))));
  EXPECT_THAT(attack("write " + service_.models() + "/attack5/1/x"),
              HasSubstr("open for writing: Read-only file system"));
  EXPECT_THAT(attack("write /x"), HasSubstr("open for writing: Read-only file system"));
  EXPECT_THAT(attack("exec /bin/sh"), HasSubstr("execv: No such file"));
  EXPECT_THAT(attack("connect-socket " + service_.socket()), HasSubstr("connect: No such file"));
}

TEST_F(HostileModelTest, SeesNoOtherProcess) {
  start("syscalls = 'off'\n");
  EXPECT_THAT(attack("kill " + service_pid()), HasSubstr("kill: No such process"));
  EXPECT_THAT(attack("ptrace " + service_pid()), HasSubstr("ptrace: No such process"));
  EXPECT_THAT(attack("read-memory " + service_pid()), HasSubstr("readv: No such process"));
  EXPECT_THAT(attack("read /proc/" + service_pid() + "/environ"), HasSubstr("open: No such file"));
}

TEST_F(HostileModelTest, AnotherUserProtectsWhereNamespacesDoNot) {
  // Other users come by the real paths now.
  std::filesystem::permissions(service_.folder(), std::filesystem::perms(0755));
  start("syscalls = 'off'\nprocesses = 'off'\nmounts = 'off'\n");
  EXPECT_THAT(attack("user"), HasSubstr("done: 19000"));
  EXPECT_THAT(attack("read /etc/shadow"), HasSubstr("open: Permission denied"));
  EXPECT_THAT(attack("kill " + service_pid()), HasSubstr("kill: Operation not permitted"));
  EXPECT_THAT(attack("ptrace " + service_pid()), HasSubstr("ptrace: Operation not permitted"));
  EXPECT_THAT(attack("read-memory " + service_pid()), HasSubstr("readv: Operation not permitted"));
  EXPECT_THAT(attack("read /proc/" + service_pid() + "/environ"), HasSubstr("Permission denied"));
  EXPECT_THAT(attack("root"), HasSubstr("setuid: Operation not permitted"));
}

TEST_F(HostileModelTest, WithoutCapabilitiesRootsNumberIsNotWorthMuch) {
  start("syscalls = 'off'\nprocesses = 'off'\nmounts = 'off'\nuser = 'off'\n");
  EXPECT_THAT(attack("user"), HasSubstr("done: 0"));
  EXPECT_THAT(attack("mount"), HasSubstr("mount: Operation not permitted"));
  EXPECT_THAT(attack("ptrace " + service_pid()), HasSubstr("ptrace: Operation not permitted"));
}

TEST_F(HostileModelTest, ReachesNoNetworkAndNoSharedMemory) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(address);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &bytes);
  const std::string port = std::to_string(ntohs(address.sin_port));
  const key_t key = static_cast<key_t>(0x504b0000 + ::getpid() % 0xffff);
  const int segment = ::shmget(key, 4096, IPC_CREAT | 0666);
  ASSERT_GE(segment, 0);
  start("syscalls = 'off'\n");
  EXPECT_THAT(attack("connect-port " + port), HasSubstr("connect: Network is unreachable"));
  EXPECT_THAT(attack("shared-memory " + std::to_string(key)), HasSubstr("shmget: No such file"));
  service_.stop();
  // The test itself can fail: without the namespaces both are reached.
  start("syscalls = 'off'\nnetwork = 'off'\nipc = 'off'\n");
  EXPECT_THAT(attack("connect-port " + port), HasSubstr("done: connect"));
  EXPECT_THAT(attack("shared-memory " + std::to_string(key)), HasSubstr("done: shmget"));
  ::shmctl(segment, IPC_RMID, nullptr);
}

TEST_F(HostileModelTest, InheritsNothing) {
  start("");
  EXPECT_THAT(attack("descriptors"), HasSubstr("done:  0 1 2 3"));
  EXPECT_THAT(attack("environment"), Not(HasSubstr("the-secret-word")));
  EXPECT_THAT(attack("limits"), HasSubstr("done: core 0 memlock 0"));
}

TEST_F(HostileModelTest, ForksOnlyAsFarAsItsLimit) {
  start("syscalls = 'off'\n");
  // All of them are gone with the runner: the first process of a namespace takes the others along.
  EXPECT_THAT(attack("fork-bomb"), HasSubstr("stopped: fork: Resource temporarily unavailable"));
}

TEST_F(HostileModelTest, WhatIsRequiredAndMissingIsNotStarted) {
  const std::string config = service_.folder() + "/pocketd.toml";
  write_file(config, "[sandbox]\nuser = 'no-such-user-here'\n");
  EXPECT_FALSE(service_.start({"--config", config}));
  EXPECT_THAT(service_.log(), AllOf(HasSubstr("this host does not give runners"),
                                    HasSubstr("there is no user 'no-such-user-here'")));
}

TEST_F(HostileModelTest, AModelThatItsUserMayNotReadIsToldSo) {
  start("");
  const std::string file = service_.models() + "/other/1/model.null";
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  const Outcome outcome = outcome_of([&] { const Model model(*session_, "other"); });
  EXPECT_EQ(outcome.status, POCKET_PERMISSION_DENIED) << outcome.message;
  EXPECT_THAT(outcome.message, AllOf(HasSubstr(file), HasSubstr("chmod")));
}

}  // namespace
}  // namespace pocket
