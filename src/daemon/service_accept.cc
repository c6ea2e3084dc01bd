// Taking clients in, and turning away those that there is no room for.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/clock.h"
#include "daemon/descriptors.h"
#include "daemon/service.h"

namespace pocket::daemon {

namespace control = wire::control;

void Service::accept_clients() {
  for (int count = 0; count < 64; ++count) {
    auto socket = ipc::accept_control(listener_.get());
    if (socket.ok()) {
      accept_client(std::move(*socket));
    } else if (socket.error().code == POCKET_RESOURCE_EXHAUSTED) {
      turn_away_client();
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
  const uint64_t id = survival_.state.next_session();
  if (Session* session = add_session(id, std::move(socket), std::move(*peer))) {
    const auto patience = static_cast<uint64_t>(config_.patience_seconds * 1e9);
    session->greeting_timer = loop_.after(patience, [this, id] {
      if (Session* target = find(id)) target->greeting_timer = 0;
      const Error error{POCKET_DEADLINE_EXCEEDED, "the client did not say Hello in time"};
      refuse(id, 0, error);
      end_session(id, error);
    });
  }
}

/// nullptr: it could not be watched.
Service::Session* Service::add_session(uint64_t id, UniqueFd socket, ipc::PeerIdentity peer) {
  auto session = std::make_unique<Session>();
  session->id = id;
  session->peer = std::move(peer);
  if (!lending_.enabled()) session->peer.pidfd.reset();
  PacketLink::Limits limits;
  limits.answers_first = true;
  limits.stall_ns = static_cast<uint64_t>(config_.patience_seconds * 1e9);
  session->link = std::make_unique<PacketLink>(loop_, std::move(socket), limits);
  auto started = session->link->start(
      [this, id](control::MessageT message, std::vector<UniqueFd>) {
        if (Session* target = find(id)) handle(*target, std::move(message));
      },
      [this, id](const Error& reason) { end_session(id, reason); });
  if (!started.ok()) return nullptr;
  return (sessions_[id] = std::move(session)).get();
}

/// There is no number for another socket: the spare one is used to say so, because a client that
/// is left in the queue would wake the loop for ever.
void Service::turn_away_client() {
  spare_.reset();
  auto socket = ipc::accept_control(listener_.get());
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
