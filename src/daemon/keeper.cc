#include "daemon/keeper.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "daemon/service_manager.h"
#include "ipc/control_socket.h"

namespace pocket::daemon {
namespace {

constexpr int kFirstListenFd = 3;

/// Takes a variable out of the environment, so that runners do not have it.
std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

/// -1: not a number.
int number(std::string_view text) {
  int value = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ptr == text.data() + text.size() ? value : -1;
}

}  // namespace

Keeper Keeper::take() {
  Keeper keeper;
  const std::string pid = take_variable("LISTEN_PID");
  const int count = number(take_variable("LISTEN_FDS"));
  const std::string names = take_variable("LISTEN_FDNAMES");
  if (number(pid) == ::getpid()) {
    size_t from = 0;
    for (int fd = kFirstListenFd; fd < kFirstListenFd + count; ++fd) {
      const size_t end = std::min(names.find(':', from), names.size());
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      keeper.left_[names.substr(std::min(from, names.size()), end - from)] = UniqueFd(fd);
      from = end + 1;
    }
  }
  const int socket = number(take_variable("POCKET_KEEPER"));
  const bool told = !take_variable("POCKET_FDSTORE").empty();
  const bool says = !take_variable("FDSTORE").empty();
  if (socket > STDERR_FILENO) {
    ::fcntl(socket, F_SETFD, FD_CLOEXEC);
    const timeval second{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
    keeper.socket_.reset(socket);
  }
  keeper.to_manager_ = !keeper.socket_.valid() && (told || says) && has_service_manager();
  return keeper;
}

void Keeper::tell(const std::string& text, int fd) {
  if (!keeps()) return;
  bool sent = false;
  if (to_manager_) {
    sent = tell_service_manager(text.c_str(), fd);
  } else {
    const int fds[] = {fd};
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()),
                                         text.size());
    sent = ipc::send_packet(socket_.get(), bytes, {fds, fd < 0 ? size_t{0} : size_t{1}}).ok();
  }
  if (!sent && !std::exchange(failed_, true)) {
    spdlog::warn(
        "what shall outlive this pocketd cannot be handed over: after a crash clients "
        "connect anew, and models are loaded again");
  }
}

void Keeper::keep(const std::string& name, int fd) {
  // A client or runner that is gone meanwhile may be dropped: the next pocketd then finds none.
  tell("FDSTORE=1\nFDNAME=" + name, fd);
}

void Keeper::drop(const std::string& name) { tell("FDSTOREREMOVE=1\nFDNAME=" + name, -1); }

UniqueFd Keeper::take_left(const std::string& name) {
  const auto found = left_.find(name);
  if (found == left_.end()) return {};
  UniqueFd fd = std::move(found->second);
  left_.erase(found);
  return fd;
}

std::vector<std::string> Keeper::left() const {
  std::vector<std::string> names;
  for (const auto& [name, fd] : left_) names.push_back(name);
  return names;
}

void Keeper::drop_left() {
  for (const auto& [name, fd] : left_) drop(name);
  left_.clear();
}

}  // namespace pocket::daemon
