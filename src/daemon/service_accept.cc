// Taking clients in, and turning away those that there is no room for.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/descriptors.h"
#include "daemon/service.h"

namespace pocket::daemon {

namespace control = wire::control;

Result<std::unique_ptr<Service::Listener>> Service::listen(const std::string& path, mode_t mode,
                                                           std::optional<gid_t> group) {
  auto listener = std::make_unique<Listener>();
  listener->path = path;
  POCKET_ASSIGN_OR_RETURN(listener->fd, ipc::listen_control(path, mode, group));
  Listener* target = listener.get();
  auto watched = loop_.watch(listener->fd.get(), EPOLLIN,
                             [this, target](uint32_t) { accept_clients(*target); });
  if (!watched.ok()) {
    ::unlink(path.c_str());
    return std::move(watched).error();
  }
  return listener;
}

void Service::stop_listening(Listener& listener) {
  if (!listener.fd.valid()) return;
  loop_.forget(listener.fd.get());
  ::unlink(listener.path.c_str());
  listener.fd.reset();
}

void Service::accept_clients(const Listener& listener) {
  for (int count = 0; count < 64 && listener.fd.valid(); ++count) {
    auto socket = ipc::accept_control(listener.fd.get());
    if (socket.ok()) {
      accept_client(std::move(*socket));
    } else if (socket.error().code == POCKET_RESOURCE_EXHAUSTED) {
      turn_away_client(listener);
    } else {
      return;
    }
  }
}

void Service::accept_client(UniqueFd socket) {
  if (auto left = check_descriptors_left(socket.get()); !left.ok()) {
    turn_away(std::move(socket), left.error());
    return;
  }
  if (sessions_.size() >= config_.sessions) {
    turn_away(std::move(socket),
              Error{POCKET_BUSY, fmt::format("{} clients are connected, the limit "
                                             "(limits.sessions): try again later, or raise it",
                                             sessions_.size())});
    return;
  }
  auto peer = ipc::peer_identity(socket.get());
  if (!peer.ok()) return;
  ClientIdentity identity = identify(*peer, ipc::local_path(socket.get()));
  auto member = tenants_.admit(identity);
  auto share = member.ok() ? TenantShare::of_session(*member) : Result<TenantShare>(member.error());
  if (!share.ok()) {
    turn_away(std::move(socket), share.error());
    return;
  }
  const auto patience = static_cast<uint64_t>(config_.patience_seconds * 1e9);
  auto session = std::make_unique<Session>();
  const uint64_t id = next_session_++;
  session->id = id;
  session->peer = std::move(*peer);
  session->identity = std::move(identity);
  session->member = std::move(*member);
  session->share = std::move(*share);
  if (!lending_.enabled()) session->peer.pidfd.reset();
  PacketLink::Limits limits;
  limits.answers_first = true;
  limits.stall_ns = patience;
  session->link = std::make_unique<PacketLink>(loop_, std::move(socket), limits);
  auto started = session->link->start(
      [this, id](control::MessageT message, std::vector<UniqueFd>) {
        if (Session* target = find(id)) handle(*target, std::move(message));
      },
      [this, id](const Error& reason) { end_session(id, reason); });
  if (!started.ok()) return;
  session->greeting_timer = loop_.after(patience, [this, id] {
    if (Session* target = find(id)) target->greeting_timer = 0;
    const Error error{POCKET_DEADLINE_EXCEEDED, "the client did not say Hello in time"};
    refuse(id, 0, error);
    end_session(id, error);
  });
  sessions_[id] = std::move(session);
}

/// There is no number for another socket: the spare one is used to say so, because a client that
/// is left in the queue would wake the loop for ever.
void Service::turn_away_client(const Listener& listener) {
  spare_.reset();
  auto socket = ipc::accept_control(listener.fd.get());
  if (socket.ok()) {
    const Error error = check_descriptors_left(socket->get()).ok()
                            ? Error{POCKET_RESOURCE_EXHAUSTED, "the system has no descriptor left"}
                            : check_descriptors_left(socket->get()).error();
    turn_away(std::move(*socket), error);
  }
  spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

void Service::turn_away(UniqueFd socket, const Error& error) {
  control::FailedT failed;
  failed.status = error.code;
  failed.message = error.message;
  // A fresh socket has room for it. Not logged each time: clients could fill the disk.
  (void)ipc::send_packet(socket.get(), wire::encode_message(0, std::move(failed)));
  spdlog::debug("a client was turned away: {}", error.message);
}

}  // namespace pocket::daemon
