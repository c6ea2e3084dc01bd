#include "client/session.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/clock.h"
#include "ipc/control_socket.h"

namespace pocket::client {
namespace {

namespace control = wire::control;

constexpr uint64_t kDefaultConnectNs = 10 * kNanosecondsPerSecond;

std::atomic<uint64_t> generation{1};

uint64_t message_id(const std::vector<uint8_t>& packet) {
  return control::GetMessage(packet.data())->id();
}

Error explain(Error error, const std::string& socket_path) {
  if (error.code == POCKET_NOT_FOUND) {
    error.message =
        "no Pocket service at '" + socket_path +
        "' (no such socket): start one with `pocket service run -d`, or name its socket "
        "with --socket or POCKET_SOCKET";
  } else if (error.code == POCKET_UNAVAILABLE) {
    error.message = "no Pocket service answers at '" + socket_path +
                    "' (it is not running): start it with `pocket service run -d`";
  } else if (error.code == POCKET_PERMISSION_DENIED) {
    error.message = "this user may not use the socket '" + socket_path +
                    "': ask for service.socket_mode, or for another socket";
  }
  return error;
}

}  // namespace

uint64_t fork_generation() {
  static const int registered = ::pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1); });
  (void)registered;
  return generation.load(std::memory_order_relaxed);
}

std::string default_socket_path() {
  if (const char* path = std::getenv("POCKET_SOCKET"); path != nullptr && *path != '\0')
    return path;
  if (const char* folder = std::getenv("XDG_RUNTIME_DIR"); folder != nullptr && *folder != '\0') {
    std::string path = std::string(folder) + "/pocket/pocket.sock";
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return path;
  }
  return "/run/pocket/pocket.sock";
}

Session::Session(SessionOptions options)
    : options_(std::move(options)), process_(fork_generation()) {
  if (options_.socket_path.empty()) options_.socket_path = default_socket_path();
  if (options_.client_name.empty()) options_.client_name = program_invocation_short_name;
  if (options_.timeout_ns == 0) options_.timeout_ns = kDefaultConnectNs;
}

Result<std::shared_ptr<Session>> Session::connect(SessionOptions options) {
  std::shared_ptr<Session> session(new Session(std::move(options)));
  std::lock_guard lock(session->mutex_);
  POCKET_RETURN_IF_ERROR(session->connect_now());
  return session;
}

Result<void> Session::connect_now() {
  auto socket = ipc::connect_control(options_.socket_path, options_.timeout_ns);
  if (!socket.ok()) return explain(std::move(socket).error(), options_.socket_path);
  socket_ = std::move(*socket);
  control::HelloT hello;
  hello.version_min = wire::kProtocolVersionMin;
  hello.version_max = wire::kProtocolVersionMax;
  hello.client_name = options_.client_name;
  hello.library_version = POCKET_VERSION_TEXT;
  const auto packet = wire::encode_message(next_id_.fetch_add(1), std::move(hello));
  auto reply = exchange_once(packet, deadline_after(options_.timeout_ns));
  if (!reply.ok()) {
    socket_.reset();
    return std::move(reply).error();
  }
  const auto* welcome = reply->message.body.AsWelcome();
  if (welcome == nullptr) {
    socket_.reset();
    return Error{POCKET_DATA_LOSS,
                 "the service did not greet: is '" + options_.socket_path + "' a Pocket socket?"};
  }
  service_version_ = welcome->service_version;
  connection_.fetch_add(1);
  return ok_result();
}

int Session::event_fd() {
  std::lock_guard lock(event_mutex_);
  if (!event_.valid()) event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return event_.get();
}

void Session::signal_event() {
  std::lock_guard lock(event_mutex_);
  if (event_.valid()) ::eventfd_write(event_.get(), 1);
}

void Session::clear_event() {
  std::lock_guard lock(event_mutex_);
  eventfd_t count = 0;
  if (event_.valid()) ::eventfd_read(event_.get(), &count);
}

Result<void> Session::check_process() const {
  if (process_ == fork_generation()) return ok_result();
  return Error{POCKET_FAILED_PRECONDITION,
               "this session belongs to the process that forked: connect anew in the child"};
}

Result<Reply> Session::exchange(const std::vector<uint8_t>& packet, uint64_t timeout_ns) {
  POCKET_RETURN_IF_ERROR(check_process());
  std::lock_guard lock(mutex_);
  const uint64_t deadline = deadline_after(timeout_ns);
  if (socket_.valid()) {
    auto reply = exchange_once(packet, deadline);
    if (socket_.valid() || !options_.reconnect) return reply;
  } else if (!options_.reconnect) {
    return Error{POCKET_UNAVAILABLE, "the connection to the service is gone"};
  }
  // The service went away, and perhaps came back: the request was not carried out, or its effect
  // went away with the service.
  POCKET_RETURN_IF_ERROR(connect_now());
  return exchange_once(packet, deadline);
}

Result<Reply> Session::exchange_once(const std::vector<uint8_t>& packet, uint64_t deadline_ns) {
  if (auto sent = ipc::send_packet(socket_.get(), packet); !sent.ok()) {
    socket_.reset();
    return Error{POCKET_UNAVAILABLE, "the connection to the service is gone"};
  }
  const uint64_t id = message_id(packet);
  while (true) {
    auto received = ipc::receive_packet_until(socket_.get(), deadline_ns);
    if (!received.ok()) {
      if (received.error().code == POCKET_DEADLINE_EXCEEDED) {
        return Error{POCKET_DEADLINE_EXCEEDED, "the service did not answer in time"};
      }
      socket_.reset();
      return Error{POCKET_UNAVAILABLE, "the service closed the connection"};
    }
    auto message = wire::decode_message(received->bytes);
    if (!message.ok()) {
      socket_.reset();
      return std::move(message).error();
    }
    if (const auto* failed = message->body.AsFailed();
        failed != nullptr && (message->id == id || message->id == 0)) {
      const auto code = static_cast<pocket_status>(failed->status);
      return Error{code == POCKET_OK ? POCKET_INTERNAL : code, failed->message};
    }
    if (message->id != id) continue;  // an event, or the late answer of a request given up
    return Reply{std::move(message).value(), std::move(received->fds)};
  }
}

}  // namespace pocket::client
