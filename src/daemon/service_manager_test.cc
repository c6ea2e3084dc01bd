#include "daemon/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "base/unique_fd.h"

namespace pocket::daemon {
namespace {

/// A service manager that listens on `name`; "@..." is a name without a file.
UniqueFd listen_on(const std::string& name) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  return socket;
}

std::string heard(const UniqueFd& socket) {
  char text[64];
  const ssize_t bytes = ::recv(socket.get(), text, sizeof(text), 0);
  return bytes < 0 ? "" : std::string(text, static_cast<size_t>(bytes));
}

TEST(ServiceManager, HearsOnAFileOrANameWithoutOne) {
  char folder[] = "/tmp/pocket-test-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string file = std::string(folder) + "/notify";
  for (const std::string& name : {file, "@" + file}) {
    const UniqueFd manager = listen_on(name);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    take_service_manager();
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr) << "a runner would have it";
    tell_service_manager("READY=1");
    EXPECT_EQ(heard(manager), "READY=1");
  }
  ::unlink(file.c_str());
  ::rmdir(folder);
}

TEST(ServiceManager, NobodyThereIsNoHarm) {
  ::unsetenv("NOTIFY_SOCKET");
  take_service_manager();
  tell_service_manager("READY=1");
  ::setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  take_service_manager();
  tell_service_manager("READY=1");
}

}  // namespace
}  // namespace pocket::daemon
