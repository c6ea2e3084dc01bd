#include "ipc/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"

namespace pocket::ipc {
namespace {

constexpr int kBacklog = 1024;

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 "socket path '" + path + "' has " + std::to_string(path.size()) +
                     " characters; a unix socket's path has 1 to " +
                     std::to_string(sizeof(address.sun_path) - 1) + ": choose a shorter one"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Result<UniqueFd> make_socket(int extra_flags) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | extra_flags, 0));
  if (!socket.valid()) return errno_error("socket(AF_UNIX, SOCK_SEQPACKET)", errno);
  return socket;
}

Result<void> make_parents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
      return errno_error("mkdir '" + folder + "' for socket '" + path + "'", errno);
    }
  }
  return ok_result();
}

/// Removes a socket file that nobody answers; ALREADY_EXISTS for anything else at `path`.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? ok_result() : errno_error("stat '" + path + "'", errno);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{POCKET_ALREADY_EXISTS,
                 "'" + path + "' exists and is not a socket: move it away or choose another path"};
  }
  POCKET_ASSIGN_OR_RETURN(UniqueFd probe, make_socket(SOCK_NONBLOCK));
  if (::connect(probe.get(), as_sockaddr(address), sizeof(address)) == 0 || errno == EAGAIN) {
    return Error{POCKET_ALREADY_EXISTS,
                 "a service already answers on '" + path +
                     "': stop it (pocket service kill) or choose another socket"};
  }
  if (errno != ECONNREFUSED) return errno_error("connect '" + path + "'", errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return errno_error("unlink stale socket '" + path + "'", errno);
  }
  return ok_result();
}

Error connect_error(const std::string& path, int errno_value) {
  const std::string next =
      ": start the service (pocket service run -d) or name its socket with POCKET_SOCKET";
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      return Error{POCKET_NOT_FOUND, "no socket at '" + path + "'" + next};
    case ECONNREFUSED:
      return Error{POCKET_UNAVAILABLE, "nobody listens on '" + path + "'" + next};
    case EAGAIN:
    case EINPROGRESS:
      return Error{POCKET_DEADLINE_EXCEEDED, "connecting to '" + path +
                                                 "' took too long: the service is overloaded or "
                                                 "stopped; see `pocket service status`"};
    case EPROTOTYPE:
      return Error{POCKET_VERSION_MISMATCH,
                   "the socket '" + path + "' is not a Pocket service's" + next};
    default:
      return errno_error("connect '" + path + "'", errno_value);
  }
}

bool peer_is_gone(int errno_value) {
  return errno_value == EPIPE || errno_value == ECONNRESET || errno_value == ENOTCONN;
}

Error receive_error(int errno_value) {
  if (errno_value == EAGAIN) return Error{POCKET_BUSY, "no control message is waiting"};
  if (peer_is_gone(errno_value)) {
    return Error{POCKET_UNAVAILABLE, "the other side closed the control connection"};
  }
  return errno_error("receive control message", errno_value);
}

/// Takes the descriptors out of the ancillary data; every one of them is owned afterwards.
std::vector<UniqueFd> take_descriptors(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

Result<Packet> receive_with_flags(int socket, int flags) {
  ssize_t size = 0;
  bool reset = false;
  do {
    size = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC | flags);
    // A peer that closed with something unread shows as an error first; what it said before that is
    // still there.
  } while (size < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
  if (size < 0) return receive_error(errno);

  Packet packet;
  packet.bytes.resize(std::min(static_cast<size_t>(size), kMaxControlBytes));
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxControlFds * sizeof(int))> control{};
  iovec part{packet.bytes.data(), packet.bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return receive_error(errno);
  packet.fds = take_descriptors(message);
  // An empty packet is never sent by this side and cannot be told from the end of the connection.
  if (size == 0) return receive_error(EPIPE);
  // Ancillary data is cut short for two reasons: too many descriptors, or none free on this side.
  const bool cut = (message.msg_flags & MSG_CTRUNC) != 0;
  packet.lost_fds = cut && packet.fds.size() < kMaxControlFds;
  if ((message.msg_flags & MSG_TRUNC) != 0 || (cut && !packet.lost_fds)) {
    return Error{POCKET_DATA_LOSS, "a control message was truncated: it is larger than " +
                                       std::to_string(kMaxControlBytes) +
                                       " bytes or carries more than " +
                                       std::to_string(kMaxControlFds) + " descriptors"};
  }
  packet.bytes.resize(static_cast<size_t>(size));
  return packet;
}

}  // namespace

Result<void> set_socket_access(const std::string& path, mode_t mode, std::optional<gid_t> group) {
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
    return errno_error("giving '" + path + "' to group " + std::to_string(*group), errno);
  }
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod '" + path + "'", errno);
  return ok_result();
}

Result<UniqueFd> listen_control(const std::string& path, mode_t mode, std::optional<gid_t> group) {
  POCKET_ASSIGN_OR_RETURN(const sockaddr_un address, socket_address(path));
  POCKET_RETURN_IF_ERROR(make_parents(path));
  POCKET_RETURN_IF_ERROR(remove_stale(path, address));
  POCKET_ASSIGN_OR_RETURN(UniqueFd socket, make_socket(SOCK_NONBLOCK));
  // Before bind: the file never exists with a wider mode. After: the umask took bits away, and a
  // mode for the group means the right one.
  if (::fchmod(socket.get(), group ? mode & 0700 : mode) != 0) {
    return errno_error("fchmod socket '" + path + "'", errno);
  }
  if (::bind(socket.get(), as_sockaddr(address), sizeof(address)) != 0) {
    return errno_error("bind '" + path + "'", errno);
  }
  POCKET_RETURN_IF_ERROR(set_socket_access(path, mode, group));
  if (::listen(socket.get(), kBacklog) != 0) return errno_error("listen '" + path + "'", errno);
  return socket;
}

Result<UniqueFd> accept_control(int listener) {
  UniqueFd socket;
  do {
    socket.reset(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  } while (!socket.valid() && (errno == EINTR || errno == ECONNABORTED));
  if (socket.valid()) return socket;
  if (errno == EAGAIN) return Error{POCKET_BUSY, "no client is waiting to connect"};
  return errno_error("accept a client", errno);
}

Result<UniqueFd> connect_control(const std::string& path, uint64_t timeout_ns) {
  POCKET_ASSIGN_OR_RETURN(const sockaddr_un address, socket_address(path));
  POCKET_ASSIGN_OR_RETURN(UniqueFd socket, make_socket(0));
  if (timeout_ns != kForever) {  // bounds connect() while the listener's backlog is full
    const timeval timeout{static_cast<time_t>(timeout_ns / kNanosecondsPerSecond),
                          static_cast<suseconds_t>(timeout_ns % kNanosecondsPerSecond / 1000 + 1)};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  }
  int result = 0;
  do {
    result = ::connect(socket.get(), as_sockaddr(address), sizeof(address));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return connect_error(path, errno);
  return socket;
}

Result<std::pair<UniqueFd, UniqueFd>> control_pair() {
  int fds[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return errno_error("socketpair(AF_UNIX, SOCK_SEQPACKET)", errno);
  }
  return std::pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<void> send_packet(int socket, std::span<const uint8_t> bytes, std::span<const int> fds) {
  if (bytes.empty() || bytes.size() > kMaxControlBytes || fds.size() > kMaxControlFds) {
    return Error{POCKET_INVALID_ARGUMENT, "a control message of " + std::to_string(bytes.size()) +
                                              " bytes and " + std::to_string(fds.size()) +
                                              " descriptors is empty or too large to send"};
  }
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxControlFds * sizeof(int))> buffer{};
  iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = buffer.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(control), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return ok_result();
  if (errno == EAGAIN || errno == ENOBUFS) {
    return Error{POCKET_BUSY, "the other side does not read its control messages: try again"};
  }
  if (peer_is_gone(errno)) {
    return Error{POCKET_UNAVAILABLE, "the other side closed the control connection"};
  }
  return errno_error("send control message", errno);
}

Result<Packet> receive_packet(int socket) { return receive_with_flags(socket, 0); }

Result<Packet> receive_packet_until(int socket, uint64_t deadline_ns) {
  while (true) {
    Result<Packet> packet = receive_with_flags(socket, MSG_DONTWAIT);
    if (packet.ok() || packet.error().code != POCKET_BUSY) return packet;
    timespec left{};
    if (deadline_ns != kForever) {
      const uint64_t now = monotonic_ns();
      if (now >= deadline_ns) {
        return Error{POCKET_DEADLINE_EXCEEDED, "no answer to a control message came in time"};
      }
      left.tv_sec = static_cast<time_t>((deadline_ns - now) / kNanosecondsPerSecond);
      left.tv_nsec = static_cast<long>((deadline_ns - now) % kNanosecondsPerSecond);
    }
    pollfd waiting{socket, POLLIN, 0};
    if (::ppoll(&waiting, 1, deadline_ns == kForever ? nullptr : &left, nullptr) < 0 &&
        errno != EINTR) {
      return errno_error("poll control connection", errno);
    }
  }
}

}  // namespace pocket::ipc
