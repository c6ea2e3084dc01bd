#include "ipc/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace pocket::ipc {
namespace {

constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD, which Debian 12's headers lack

/// Whether the process runs as this user; /proc/PID itself belongs to root for some.
bool runs_as(pid_t pid, uid_t uid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text{};
  if (!file.valid() || ::read(file.get(), text.data(), text.size() - 1) <= 0) return false;
  const char* at = std::strstr(text.data(), "\nUid:");
  if (at == nullptr) return false;
  char* rest = nullptr;
  std::strtoul(at + 5, &rest, 10);  // the real one
  return std::strtoul(rest, nullptr, 10) == uid;
}

}  // namespace

std::string local_path(int socket) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  const size_t bytes =
      size > offsetof(sockaddr_un, sun_path) ? size - offsetof(sockaddr_un, sun_path) : 0;
  return {address.sun_path, ::strnlen(address.sun_path, std::min(bytes, sizeof(address.sun_path)))};
}

UniqueFd open_peer(int socket, const PeerIdentity& peer) {
  if (peer.pid <= 0) return {};
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process.valid() || !runs_as(peer.pid, peer.uid)) return {};
  std::array<pollfd, 2> entries{pollfd{socket, POLLRDHUP, 0}, pollfd{process.get(), POLLIN, 0}};
  if (::poll(entries.data(), entries.size(), 0) != 0) return {};
  return process;
}

Result<PeerIdentity> peer_identity(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return errno_error("getsockopt(SO_PEERCRED)", errno);
  }
  PeerIdentity peer{credentials.pid, credentials.uid, credentials.gid, UniqueFd()};
  int pidfd = -1;
  size = sizeof(pidfd);
  if (::getsockopt(socket, SOL_SOCKET, kPeerPidfd, &pidfd, &size) == 0) {
    peer.pidfd.reset(pidfd);
  } else if (errno == ENOPROTOOPT) {
    peer.pidfd = open_peer(socket, peer);
  }
  return peer;
}

}  // namespace pocket::ipc
