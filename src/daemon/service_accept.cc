// Taking clients in, and turning away those that there is no room for.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "daemon/descriptors.h"
#include "daemon/service.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

/// Under which a listening socket is kept for a later pocketd; such names hold no colon.
std::string listener_name(std::string path) {
  std::ranges::replace(path, ':', '_');
  return "listen-" + path;
}

bool is_socket(const std::string& path) {
  struct stat file {};
  return ::stat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
}

}  // namespace

Result<std::unique_ptr<Service::Listener>> Service::listen(const std::string& path, mode_t mode,
                                                           std::optional<gid_t> group) {
  auto listener = std::make_unique<Listener>();
  listener->path = path;
  UniqueFd left = survival_.keeper.take_left(listener_name(path));
  if (left.valid() && ipc::local_path(left.get()) == path && is_socket(path)) {
    // That of an earlier pocketd: who connected meanwhile waits in it.
    listener->fd = std::move(left);
    POCKET_RETURN_IF_ERROR(ipc::set_socket_access(path, mode, group));
  } else {
    if (left.valid()) survival_.keeper.drop(listener_name(path));
    left.reset();
    POCKET_ASSIGN_OR_RETURN(listener->fd, ipc::listen_control(path, mode, group));
    survival_.keeper.keep(listener_name(path), listener->fd.get());
  }
  // Not before everything is taken over that an earlier pocketd left.
  if (taken_over_) {
    if (auto watched = watch(*listener); !watched.ok()) {
      stop_listening(*listener);
      return std::move(watched).error();
    }
  }
  return listener;
}

Result<void> Service::watch(Listener& listener) {
  return loop_.watch(listener.fd.get(), EPOLLIN,
                     [this, target = &listener](uint32_t) { accept_clients(*target); });
}

void Service::stop_listening(Listener& listener) {
  if (!listener.fd.valid()) return;
  loop_.forget(listener.fd.get());
  survival_.keeper.drop(listener_name(listener.path));
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
  auto peer = ipc::peer_identity(socket.get());
  if (!peer.ok()) return;
  if (sessions_.size() >= config_.sessions) {
    const Error error{POCKET_BUSY, fmt::format("{} clients are connected, the limit "
                                               "(limits.sessions): try again later, or raise it",
                                               sessions_.size())};
    audit_turned_away(kDefaultTenant, *peer, identify(*peer, ipc::local_path(socket.get())), error);
    turn_away(std::move(socket), error);
    return;
  }
  const uint64_t id = survival_.state.next_session();
  auto added = add_session(id, socket, std::move(*peer));
  if (!added.ok()) {
    if (socket.valid()) turn_away(std::move(socket), added.error());
    return;
  }
  const auto patience = static_cast<uint64_t>(config_.patience_seconds * 1e9);
  (*added)->greeting_timer = loop_.after(patience, [this, id] {
    if (Session* target = find(id)) target->greeting_timer = 0;
    const Error error{POCKET_DEADLINE_EXCEEDED, "the client did not say Hello in time"};
    refuse(id, 0, error);
    end_session(id, error);
  });
}

/// The socket stays the caller's where the client is not let in.
Result<Service::Session*> Service::add_session(uint64_t id, UniqueFd& socket,
                                               ipc::PeerIdentity peer) {
  ClientIdentity identity = identify(peer, ipc::local_path(socket.get()));
  auto admitted = tenants_.admit(identity);
  auto shared =
      admitted.ok() ? TenantShare::of_session(*admitted) : Result<TenantShare>(admitted.error());
  if (!shared.ok()) {
    audit_turned_away(admitted.ok() ? admitted->tenant->name : kDefaultTenant, peer, identity,
                      shared.error());
    return std::move(shared).error();
  }
  Member member = std::move(*admitted);
  TenantShare share = std::move(*shared);
  auto session = std::make_unique<Session>();
  session->id = id;
  session->peer = std::move(peer);
  session->identity = std::move(identity);
  session->member = std::move(member);
  session->share = std::move(share);
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
  POCKET_RETURN_IF_ERROR(started);
  return (sessions_[id] = std::move(session)).get();
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
  failed.retry_after_us = error.retry_after_ns / 1000;
  // A fresh socket has room for it. Not logged each time: clients could fill the disk.
  (void)ipc::send_packet(socket.get(), wire::encode_message(0, std::move(failed)));
  spdlog::debug("a client was turned away: {}", error.message);
}

}  // namespace pocket::daemon
