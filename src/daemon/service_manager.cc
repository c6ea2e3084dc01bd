#include "daemon/service_manager.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/unique_fd.h"

namespace pocket::daemon {
namespace {

std::string& manager_socket() {
  static std::string path;
  return path;
}

}  // namespace

void take_service_manager() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  manager_socket() = path == nullptr ? "" : path;
  ::unsetenv("NOTIFY_SOCKET");
}

bool has_service_manager() { return !manager_socket().empty(); }

bool tell_service_manager(const char* state, int fd) {
  const std::string& path = manager_socket();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';  // a name without a file
  iovec part{const_cast<char*>(state), std::strlen(state)};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> buffer{};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = buffer.data();
    message.msg_controllen = buffer.size();
    cmsghdr* control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(control), &fd, sizeof(int));
  }
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval second{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
  if (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) >= 0) return true;
  spdlog::warn("telling the service manager at '{}': {}", path, std::strerror(errno));
  return false;
}

}  // namespace pocket::daemon
