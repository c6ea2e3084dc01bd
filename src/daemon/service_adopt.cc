// What an earlier pocketd left: its listening socket, its clients and their channels.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "daemon/service.h"
#include "daemon/views.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

// The supervisor (and systemd, as after any failure) then starts the program that is installed now.
constexpr int kReplaceMe = 75;

}  // namespace

std::string session_name(uint64_t session) { return fmt::format("session-{}", session); }

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
  taken_over_ = true;
  for (auto& listener : listeners_) {
    if (auto watched = watch(*listener); !watched.ok()) {
      failure_ = watched.error().message;
      shut_down();
      return;
    }
  }
  // The configuration may be another one than the runners know.
  if (survival_.state.generation() > 1) {
    for (const auto& tenant : tenants_.all()) {
      control::RunnerTenantT told;
      describe(*tenant, told);
      models_.tell_runners(told);
    }
    for (auto& [id, session] : sessions_) review_channels(*session);
  }
  preload();
}

void Service::adopt_session(const State::Saved& saved) {
  UniqueFd socket = survival_.keeper.take_left(session_name(saved.session));
  auto message = wire::decode_message(saved.hello);
  const auto* hello = message.ok() ? message->body.AsHello() : nullptr;
  auto peer = socket.valid() ? ipc::peer_identity(socket.get())
                             : Result<ipc::PeerIdentity>(Error{POCKET_NOT_FOUND, "it is gone"});
  if (hello == nullptr || !peer.ok()) {
    survival_.state.forget(saved.session);
    if (socket.valid()) survival_.keeper.drop(session_name(saved.session));
    return;
  }
  auto added = add_session(saved.session, socket, std::move(*peer));
  if (!added.ok() || !accept_hello(**added, *hello).ok()) {
    survival_.state.forget(saved.session);
    survival_.keeper.drop(session_name(saved.session));
    sessions_.erase(saved.session);
  }
}

void Service::adopt_channel(Models::AdoptedChannel& adopted) {
  Session* session = find(adopted.what.session);
  auto share = session == nullptr
                   ? Result<TenantShare>(Error{POCKET_NOT_FOUND, "its client is gone"})
                   : TenantShare::of_channel(session->member);
  if (!share.ok() || !share->add_bytes(adopted.what.bytes).ok() || adopted.model == nullptr ||
      adopted.what.client_gone) {
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
  channel->share = std::move(*share);
  channel->model_name = adopted.model->source.name;
  channel->model_version = adopted.model->source.version;
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
