#include "ipc/peer.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/control_socket.h"

namespace pocket::ipc {
namespace {

TEST(Peer, IsTheProcessThatMadeTheConnection) {
  const auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  const auto peer = peer_identity(pair->first.get());
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::geteuid());
}

TEST(Peer, TheSocketItCameThroughHasItsPath) {
  const std::string path = ::testing::TempDir() + "pocket-peer-" + std::to_string(::getpid());
  const auto listener = listen_control(path, 0600);
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  const auto client = connect_control(path, 1'000'000'000);
  const auto served = accept_control(listener->get());
  ASSERT_TRUE(client.ok() && served.ok());
  EXPECT_EQ(local_path(served->get()), path);
  EXPECT_EQ(local_path(client->get()), "");
  const auto pair = control_pair();
  EXPECT_EQ(local_path(pair->first.get()), "");
  ::unlink(path.c_str());
}

TEST(Peer, OpenedByNumberOnlyWhereNothingSpeaksOfReuse) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  PeerIdentity peer{::getpid(), ::geteuid(), ::getegid(), UniqueFd()};
  EXPECT_TRUE(open_peer(pair->first.get(), peer).valid());

  peer.uid += 1;  // another user has the number now
  EXPECT_FALSE(open_peer(pair->first.get(), peer).valid());
  peer.uid -= 1;

  peer.pid = 0;  // not visible from here
  EXPECT_FALSE(open_peer(pair->first.get(), peer).valid());

  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  peer.pid = child;  // has ended; its number is not free yet
  EXPECT_FALSE(open_peer(pair->first.get(), peer).valid());
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);

  peer.pid = ::getpid();
  pair->second.reset();  // whoever connected has hung up: the number may be anybody's
  EXPECT_FALSE(open_peer(pair->first.get(), peer).valid());
}

}  // namespace
}  // namespace pocket::ipc
