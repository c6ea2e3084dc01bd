#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "client/retry.h"

namespace pocket::client {
namespace {

namespace control = wire::control;

constexpr uint64_t kDefaultConnectNs = 10 * kNanosecondsPerSecond;

std::atomic<uint64_t> generation{1};

Error as_error(const control::FailedT& failed) {
  const auto code = static_cast<pocket_status>(failed.status);
  const uint64_t most_us = UINT64_MAX / 1000;
  return Error{code == POCKET_OK ? POCKET_INTERNAL : code, failed.message,
               std::min<uint64_t>(failed.retry_after_us, most_us) * 1000};
}

Error lost_connection() {
  return Error{POCKET_UNAVAILABLE,
               "the service closed the connection: try again, or see whether it still runs with "
               "`pocket service status`"};
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
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
  if (options_.cpu_policy.empty()) options_.cpu_policy = environment("POCKET_CPU_POLICY");
  if (options_.mem_policy.empty()) options_.mem_policy = environment("POCKET_MEM_POLICY");
}

Result<std::shared_ptr<Session>> Session::connect(SessionOptions options) {
  std::shared_ptr<Session> session(new Session(std::move(options)));
  MutexLock lock(session->mutex_);
  const uint64_t deadline = deadline_after(session->options_.timeout_ns);
  Retry retry;
  retry.begin(deadline);
  while (true) {
    auto connected = session->connect_now(session->options_.timeout_ns);
    if (connected.ok()) return session;
    // A service that is not there is not waited for; one that took the connection and died is, and
    // so is one that says when there may be room.
    const Error& why = connected.error();
    const bool later = (why.code == POCKET_UNAVAILABLE && !session->nobody_) ||
                       (why.code == POCKET_BUSY && why.retry_after_ns > 0);
    const auto pause = later && session->options_.retry && session->options_.reconnect
                           ? retry.pause_ns(why, false)
                           : std::nullopt;
    if (!pause) return std::move(connected).error();
    sleep_ns(*pause);
  }
}

Result<void> Session::connect_now(uint64_t timeout_ns) {
  auto socket = ipc::connect_control(options_.socket_path, timeout_ns);
  nobody_.store(!socket.ok() && (socket.error().code == POCKET_UNAVAILABLE ||
                                 socket.error().code == POCKET_NOT_FOUND));
  if (!socket.ok()) {
    Error error = explain(std::move(socket).error(), options_.socket_path);
    // A service that is being started again has no socket for a moment.
    if (error.code == POCKET_NOT_FOUND && connection_.load() > 0) error.code = POCKET_UNAVAILABLE;
    return error;
  }
  // Nobody may be held up in sending while another thread has answers to read.
  if (::fcntl(socket->get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("fcntl", errno);
  POCKET_RETURN_IF_ERROR(greet(socket->get(), deadline_after(timeout_ns)));
  socket_ = std::move(*socket);
  connection_.fetch_add(1);
  return ok_result();
}

Result<void> Session::greet(int socket, uint64_t deadline_ns) {
  control::HelloT hello;
  hello.version_min = wire::kProtocolVersionMin;
  hello.version_max = wire::kProtocolVersionMax;
  hello.client_name = options_.client_name;
  hello.library_version = POCKET_VERSION_TEXT;
  hello.cpu_policy = options_.cpu_policy;
  hello.mem_policy = options_.mem_policy;
  // A service that refuses the connection may have closed it already: what it said counts.
  (void)ipc::send_packet(socket, wire::encode_message(next_id_.fetch_add(1), std::move(hello)));
  auto packet = ipc::receive_packet_until(socket, deadline_ns);
  if (!packet.ok()) {
    if (packet.error().code != POCKET_DEADLINE_EXCEEDED) return lost_connection();
    return Error{POCKET_DEADLINE_EXCEEDED,
                 "the service at '" + options_.socket_path +
                     "' took the connection and did not greet in time: it is overloaded, stopped, "
                     "or not Pocket"};
  }
  POCKET_ASSIGN_OR_RETURN(const control::MessageT message, wire::decode_message(packet->bytes));
  if (const auto* failed = message.body.AsFailed()) return as_error(*failed);
  const auto* welcome = message.body.AsWelcome();
  if (welcome == nullptr) {
    return Error{POCKET_DATA_LOSS,
                 "the service did not greet: is '" + options_.socket_path + "' a Pocket socket?"};
  }
  if (welcome->version < wire::kProtocolVersionMin ||
      welcome->version > wire::kProtocolVersionMax) {
    return Error{POCKET_VERSION_MISMATCH,
                 "the service " + welcome->service_version + " chose protocol version " +
                     std::to_string(welcome->version) +
                     ", this libpocket " POCKET_VERSION_TEXT " speaks " +
                     std::to_string(wire::kProtocolVersionMin) + " to " +
                     std::to_string(wire::kProtocolVersionMax) + ": update the older of the two"};
  }
  service_version_ = welcome->service_version;
  return ok_result();
}

int Session::event_fd() {
  MutexLock lock(event_mutex_);
  if (!event_.valid()) event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return event_.get();
}

void Session::signal_event() {
  MutexLock lock(event_mutex_);
  if (event_.valid()) ::eventfd_write(event_.get(), 1);
}

void Session::clear_event() {
  MutexLock lock(event_mutex_);
  eventfd_t count = 0;
  if (event_.valid()) ::eventfd_read(event_.get(), &count);
}

Result<void> Session::check_process() const {
  if (process_ == fork_generation()) return ok_result();
  return Error{POCKET_FAILED_PRECONDITION,
               "this session belongs to the process that forked: connect anew in the child"};
}

/// For requests of a session that has been connected: a service that is being started again is
/// waited for, but not for long: one that has a supervisor takes connections meanwhile.
Result<void> Session::connect_again(uint64_t deadline_ns) {
  Retry retry;
  retry.begin(std::min(deadline_ns, deadline_after(Retry::kNobodyNs)));
  while (true) {
    const uint64_t now = monotonic_ns();
    const uint64_t left =
        deadline_ns == kForever ? kForever : deadline_ns - std::min(deadline_ns, now);
    auto connected = connect_now(std::min(options_.timeout_ns, left));
    if (connected.ok()) return ok_result();
    const auto pause =
        options_.retry ? retry.pause_ns(connected.error(), nobody_.load()) : std::nullopt;
    if (!pause) return connected;
    {
      const MutexUnlock unlocked(mutex_);
      sleep_ns(*pause);
    }
    if (socket_.valid()) return ok_result();  // another thread was quicker
  }
}

Result<Reply> Session::exchange(uint64_t id, const std::vector<uint8_t>& packet,
                                uint64_t timeout_ns, bool reconnect) {
  POCKET_RETURN_IF_ERROR(check_process());
  const uint64_t deadline = deadline_after(timeout_ns);
  MutexLock lock(mutex_);
  // A service that went away has perhaps come back: the request was not carried out, or its effect
  // went away with the service, so it is made once more; and a few times more where retries are
  // wanted, because that one may die as well.
  const int most_attempts = !reconnect ? 1 : options_.retry ? 6 : 2;
  for (int attempt = 1;; ++attempt) {
    // Others may connect while this thread waits in connect_again().
    while (!socket_.valid()) {
      if (!reconnect) return lost_connection();
      POCKET_RETURN_IF_ERROR(connect_again(deadline));
    }
    take_in_unasked();
    if (!socket_.valid()) continue;
    const auto sent = ipc::send_packet(socket_.get(), packet);
    if (!sent.ok() && sent.error().code == POCKET_BUSY) {
      return Error{POCKET_BUSY, "the service has not read this session's last requests yet"};
    }
    // Other failures show when the answer is read, behind what the service said before.
    Waiting mine{id, &packet, std::nullopt};
    waiting_.push_back(&mine);
    await(mine, deadline);
    std::erase(waiting_, &mine);
    if (!mine.reply) {
      return Error{POCKET_DEADLINE_EXCEEDED,
                   "the service did not answer in time: allow more, or try again later"};
    }
    if (!mine.lost || attempt >= most_attempts) return std::move(*mine.reply);
  }
}

void Session::await(Waiting& mine, uint64_t deadline_ns) {
  while (!mine.reply) {
    if (!reading_) {
      // One thread receives for all that wait; when it has its answer another one goes on.
      reading_ = true;
      auto received = receive(deadline_ns);
      reading_ = false;
      take_in(std::move(received));
      changed_.notify_all();
    } else if (deadline_ns == kForever) {
      changed_.wait(mutex_);
    } else {
      changed_.wait_until(mutex_, deadline_ns);
    }
    if (!mine.reply && monotonic_ns() >= deadline_ns) return;
  }
}

Result<ipc::Packet> Session::receive(uint64_t deadline_ns) {
  const int socket = socket_.get();
  const MutexUnlock unlocked(mutex_);
  return ipc::receive_packet_until(socket, deadline_ns);
}

void Session::take_in(Result<ipc::Packet> received) {
  if (!received.ok()) {
    if (received.error().code != POCKET_DEADLINE_EXCEEDED) fail_all(lost_connection(), true);
    return;
  }
  auto message = wire::decode_message(received->bytes);
  if (!message.ok()) {
    fail_all(message.error(), false);
  } else if (const auto* failed = message->body.AsFailed(); failed != nullptr && message->id == 0) {
    fail_all(as_error(*failed), false);  // of the connection, not of one request
  } else if (message->body.AsServiceRestarted() != nullptr) {
    ask_again();
  } else {
    deliver(std::move(*message), std::move(*received));
  }
}

/// Another pocketd has taken over: what the one before it did not answer nobody will. A request
/// that this one has already is carried out twice, which changes nothing.
void Session::ask_again() {
  for (const Waiting* waiting : waiting_) {
    if (!waiting->reply) (void)ipc::send_packet(socket_.get(), *waiting->packet);
  }
}

/// What came while nobody waited for anything, so that it is not taken for something about the next
/// request.
void Session::take_in_unasked() {
  while (!reading_ && waiting_.empty() && socket_.valid()) {
    auto received = ipc::receive_packet_until(socket_.get(), 0);
    if (!received.ok() && received.error().code == POCKET_DEADLINE_EXCEEDED) return;
    take_in(std::move(received));
  }
}

void Session::deliver(control::MessageT message, ipc::Packet packet) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting* waiting) {
    return waiting->id == message.id && !waiting->reply;
  });
  if (found != waiting_.end()) {
    if (const auto* failed = message.body.AsFailed()) {
      (*found)->reply.emplace(as_error(*failed));
    } else {
      (*found)->reply.emplace(Reply{std::move(message), std::move(packet.fds), packet.lost_fds});
    }
  } else if (const auto* opened = message.body.AsOpened()) {
    send_close(opened->channel);  // the late answer of an open that was given up
  }
}

void Session::fail_all(const Error& error, bool lost) {
  socket_.reset();
  for (Waiting* waiting : waiting_) {
    if (waiting->reply) continue;
    waiting->reply.emplace(error);
    waiting->lost = lost;
  }
}

void Session::send_close(uint32_t channel) {
  control::CloseChannelT close;
  close.channel = channel;
  (void)ipc::send_packet(socket_.get(),
                         wire::encode_message(next_id_.fetch_add(1), std::move(close)));
}

void Session::close_channel(uint32_t channel) {
  if (!check_process().ok()) return;
  MutexLock lock(mutex_);
  if (socket_.valid()) send_close(channel);
}

}  // namespace pocket::client
