// Reading the configuration anew.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "daemon/config_changes.h"
#include "daemon/service.h"
#include "daemon/views.h"

namespace pocket::daemon {

namespace control = wire::control;

/// Opens the sockets that are new and changes who may use those that stay. When one of them cannot
/// be had, all is as it was.
Result<std::vector<std::unique_ptr<Service::Listener>>> Service::prepare_sockets(
    const AccessConfig& wanted) {
  std::vector<std::unique_ptr<Listener>> fresh;
  const auto known = [this](const std::string& path) {
    const auto found = std::ranges::find_if(
        config_.access.sockets, [&](const SocketConfig& socket) { return socket.path == path; });
    return found == config_.access.sockets.end() ? nullptr : &*found;
  };
  Result<void> prepared;
  std::vector<const SocketConfig*> changed;
  for (const SocketConfig& socket : wanted.sockets) {
    const SocketConfig* before = known(socket.path);
    if (before == nullptr) {
      auto listener = listen(socket.path, socket.mode, socket.group);
      if (listener.ok()) fresh.push_back(std::move(*listener));
      if (!listener.ok()) prepared = std::move(listener).error();
    } else if (before->mode != socket.mode || before->group != socket.group) {
      changed.push_back(before);
      prepared = ipc::set_socket_access(socket.path, socket.mode, socket.group);
    }
    if (prepared.ok()) continue;
    for (auto& listener : fresh) stop_listening(*listener);
    for (const SocketConfig* old : changed) {
      (void)ipc::set_socket_access(old->path, old->mode, old->group);
    }
    return std::move(prepared).error();
  }
  return fresh;
}

Result<control::ReloadedT> Service::reload() {
  if (stopping_) return Error{POCKET_UNAVAILABLE, "the service is shutting down"};
  auto wanted = read_config_();
  auto fresh = wanted.ok() ? prepare_sockets(wanted->access)
                           : Result<std::vector<std::unique_ptr<Listener>>>(wanted.error());
  if (!fresh.ok()) {
    spdlog::error("reading the configuration anew: nothing has changed: {}", fresh.error().message);
    return std::move(fresh).error().with_context("nothing has changed");
  }
  for (auto& listener : *fresh) listeners_.push_back(std::move(listener));
  const auto stays = [&](const std::unique_ptr<Listener>& listener) {
    return listener->path == config_.socket ||
           std::ranges::any_of(wanted->access.sockets, [&](const SocketConfig& socket) {
             return socket.path == listener->path;
           });
  };
  // Not freed before the loop is done with what it has seen of them.
  auto gone = std::make_shared<std::vector<std::unique_ptr<Listener>>>();
  for (auto& listener : listeners_) {
    if (stays(listener)) continue;
    stop_listening(*listener);
    gone->push_back(std::move(listener));
  }
  std::erase(listeners_, nullptr);
  loop_.post([gone] {});

  const ConfigChanges changes = apply_changes(config_, *wanted);
  spdlog::set_level(spdlog::level::from_str(config_.log_level));
  tenants_.configuration_changed();
  for (const auto& tenant : tenants_.all()) {
    control::RunnerTenantT told;
    describe(*tenant, told);
    models_.tell_runners(told);
  }
  review_sessions();
  spdlog::info("the configuration was read anew: {} changes, {} keys need a restart",
               changes.changed.size(), changes.needs_restart.size());
  for (const std::string& change : changes.changed) spdlog::info("changed: {}", change);
  for (const std::string& key : changes.needs_restart) spdlog::warn("needs a restart: {}", key);
  control::ReloadedT reloaded;
  reloaded.changed = changes.changed;
  reloaded.needs_restart = changes.needs_restart;
  return reloaded;
}

/// Each session as if it connected now.
void Service::review_sessions() {
  std::vector<std::pair<uint64_t, Error>> ending;
  for (auto& [id, session] : sessions_) {
    auto member = tenants_.admit(session->identity);
    if (!member.ok()) {
      ending.emplace_back(id, std::move(member).error());
    } else if (member->administrator) {
      // Not closed: it may be the one who asks for this.
      session->member = *member;
      if (auto share = TenantShare::of_session(*member); share.ok()) {
        session->share = std::move(*share);
      }
    } else if (member->tenant != session->member.tenant) {
      ending.emplace_back(id, Error{POCKET_UNAVAILABLE,
                                    fmt::format("the configuration has changed, and this client is "
                                                "of tenant '{}' now: connect again",
                                                member->tenant->name)});
    } else {
      session->member = std::move(*member);
      review_channels(*session);
    }
  }
  for (const auto& [id, reason] : ending) {
    // Its calls end at once, and it comes back where it may.
    for (auto& [number, channel] : find(id)->channels) mark_broken(channel->response_header);
    refuse(id, 0, reason);
    end_session(id, reason);
  }
}

void Service::review_channels(Session& session) {
  for (auto& [number, channel] : session.channels) {
    if (channel->runner == nullptr) continue;
    const auto allowed = check_model(session, channel->model_name, channel->model_version);
    if (!allowed.ok()) break_channel(session, *channel, allowed.error().message);
  }
}

void Service::break_channel(Session& session, Channel& channel, const std::string& why) {
  detach(channel, nullptr);
  mark_broken(channel.response_header);
  control::ChannelBrokenT broken;
  broken.channel = channel.id;
  broken.message = why;
  session.link->send(wire::encode_message(0, std::move(broken)));
}

}  // namespace pocket::daemon
