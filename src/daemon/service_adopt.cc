// What an earlier pocketd left: its listening socket, its clients and their channels.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/service.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

// The supervisor (and systemd, as after any failure) then starts the program that is installed now.
constexpr int kReplaceMe = 75;

/// Whether `socket` is bound to `path`, and the file is still there.
bool listens_on(const UniqueFd& socket, const std::string& path) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  struct stat file {};
  return socket.valid() &&
         ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
         path == address.sun_path && ::stat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
}

}  // namespace

std::string session_name(uint64_t session) { return fmt::format("session-{}", session); }

Result<void> Service::listen() {
  UniqueFd left = survival_.keeper.take_left("listen");
  if (listens_on(left, config_.socket)) {
    listener_ = std::move(left);
    return ok_result();
  }
  if (left.valid()) survival_.keeper.drop("listen");
  POCKET_ASSIGN_OR_RETURN(listener_, ipc::listen_control(config_.socket, config_.socket_mode));
  survival_.keeper.keep("listen", listener_.get());
  return ok_result();
}

void Service::take_over(std::vector<Models::AdoptedChannel> channels) {
  if (stopping_) return;
  for (const State::Saved& saved : survival_.state.sessions()) adopt_session(saved);
  for (auto& channel : channels) adopt_channel(channel);
  if (survival_.state.generation() > 1) {
    spdlog::info("took over {} clients with {} channels from the pocketd before", sessions_.size(),
                 channels.size());
  }
  for (const auto& [id, session] : sessions_) {
    session->link->send(wire::encode_message(0, control::ServiceRestartedT{}));
  }
  survival_.keeper.drop_left();
  auto watched = loop_.watch(listener_.get(), EPOLLIN, [this](uint32_t) { accept_clients(); });
  if (!watched.ok()) {
    failure_ = watched.error().message;
    shut_down();
    return;
  }
  preload();
}

void Service::adopt_session(const State::Saved& saved) {
  UniqueFd socket = survival_.keeper.take_left(session_name(saved.session));
  auto message = wire::decode_message(saved.hello);
  const auto* hello = message.ok() ? message->body.AsHello() : nullptr;
  auto peer = socket.valid() ? ipc::peer_identity(socket.get(), /*just_connected=*/false)
                             : Result<ipc::PeerIdentity>(Error{POCKET_NOT_FOUND, "it is gone"});
  if (hello == nullptr || !peer.ok()) {
    survival_.state.forget(saved.session);
    if (socket.valid()) survival_.keeper.drop(session_name(saved.session));
    return;
  }
  Session* session = add_session(saved.session, std::move(socket), std::move(*peer));
  if (session == nullptr || !accept_hello(*session, *hello).ok()) {
    survival_.state.forget(saved.session);
    survival_.keeper.drop(session_name(saved.session));
    sessions_.erase(saved.session);
  }
}

void Service::adopt_channel(Models::AdoptedChannel& adopted) {
  Session* session = find(adopted.what.session);
  if (session == nullptr || adopted.model == nullptr || adopted.what.client_gone) {
    control::RunnerDetachT detach;
    detach.channel = adopted.what.channel;
    detach.tell = true;
    adopted.runner->request(std::move(detach), {}, nullptr);
    return;
  }
  auto channel = std::make_unique<Channel>();
  channel->id = adopted.what.channel;
  channel->session = session->id;
  channel->model = adopted.model;
  channel->runner = adopted.runner;
  channel->regions = adopted.what.regions;
  channel->bytes = adopted.what.bytes;
  session->bytes += channel->bytes;
  models_.use(*adopted.model, +1);
  lending_.attach_adopted(session->id, session->peer, session->name, session->policies,
                          *adopted.runner, adopted.what.slot);
  session->channels[channel->id] = std::move(channel);
}

void Service::upgrade_service(Session& session, uint64_t request) {
  if (auto allowed = check_administrator(session, "upgrade it"); !allowed.ok()) {
    refuse(session.id, request, allowed.error());
    return;
  }
  if (!survival_.keeper.keeps()) {
    refuse(session.id, request,
           Error{POCKET_FAILED_PRECONDITION,
                 "nobody holds this service's runners and clients meanwhile, because it runs "
                 "without a supervisor: `pocket service kill`, then `pocket service run -d`"});
    return;
  }
  answer(session.id, request, control::DoneT{});
  spdlog::info("ends for the program that is installed now");
  // From the loop, when the answer is out. Nothing is destroyed: what runs, runs on.
  loop_.post([] { ::_exit(kReplaceMe); });
}

}  // namespace pocket::daemon
