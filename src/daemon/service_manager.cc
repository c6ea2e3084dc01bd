#include "daemon/service_manager.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>

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

void tell_service_manager(const char* state) {
  const std::string& path = manager_socket();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';  // a name without a file
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::sendto(socket.get(), state, std::strlen(state), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    spdlog::warn("telling the service manager at '{}': {}", path, std::strerror(errno));
  }
}

}  // namespace pocket::daemon
