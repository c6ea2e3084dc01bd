// Questions and orders about the service itself.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "daemon/service.h"
#include "daemon/views.h"

namespace pocket::daemon {

namespace control = wire::control;

void Service::handle_admin(Session& session, uint64_t request, const control::MessageT& message) {
  if (message.body.AsListModels() != nullptr) {
    answer(session.id, request, models_for(session));
  } else if (message.body.AsGetStatus() != nullptr) {
    answer(session.id, request, status(session));
  } else if (message.body.AsGetUsage() != nullptr) {
    get_usage(session, request);
  } else if (const auto* load = message.body.AsLoadModel()) {
    load_model(session, request, *load);
  } else if (const auto* unload = message.body.AsUnloadModel()) {
    auto done = check_administrator(session, "unload models");
    if (done.ok()) done = models_.unload(unload->name, unload->version, unload->engine);
    if (done.ok()) {
      answer(session.id, request, control::DoneT{});
    } else {
      refuse(session.id, request, done.error());
    }
  } else if (const auto* leases = message.body.AsGetLeases()) {
    list_leases(session, request, leases->reconcile);
  } else if (const auto* quarantine = message.body.AsGetQuarantine()) {
    list_quarantine(session, request, *quarantine);
  } else if (message.body.AsReload() != nullptr) {
    auto allowed = check_administrator(session, "read its configuration anew");
    auto reloaded = allowed.ok() ? reload() : Result<control::ReloadedT>(allowed.error());
    if (reloaded.ok()) {
      answer(session.id, request, std::move(*reloaded));  // unless it has just lost its session
    } else {
      refuse(session.id, request, reloaded.error());
    }
  } else if (message.body.AsStopService() != nullptr) {
    stop_service(session, request);
  } else if (message.body.AsUpgradeService() != nullptr) {
    upgrade_service(session, request);
  } else {
    refuse(session.id, request,
           Error{POCKET_UNIMPLEMENTED, "this service does not know that kind of message"});
  }
}

void Service::load_model(Session& session, uint64_t request, const control::LoadModelT& load) {
  auto room = check_pending(session);
  if (room.ok()) room = check_model(session, load.name, load.version);
  if (!room.ok()) {
    refuse(session.id, request, room.error());
    return;
  }
  session.pending += 1;
  models_.open(load.name, load.version, load.engine,
               [this, id = session.id, request](Result<OpenedModel> model) {
                 if (Session* target = find(id)) target->pending -= 1;
                 if (model.ok()) {
                   answer(id, request, control::DoneT{});
                 } else {
                   refuse(id, request, model.error());
                 }
               });
}

Result<void> Service::check_administrator(const Session& session, const char* what) const {
  if (session.member.administrator) return ok_result();
  return Error{
      POCKET_PERMISSION_DENIED,
      fmt::format("only the service's own user ({}), root and access.administrators may {}, "
                  "from outside containers and through a socket that is no tenant's; you "
                  "are user {} of tenant '{}'",
                  ::geteuid(), what, session.peer.uid, session.member.tenant->name)};
}

void Service::list_leases(Session& session, uint64_t request, bool reconcile) {
  auto allowed = reconcile ? check_administrator(session, "repair its leases") : ok_result();
  if (!allowed.ok()) {
    refuse(session.id, request, allowed.error());
    return;
  }
  lending_.report(reconcile, [this, id = session.id, request](control::LeasesT leases) {
    Session* viewer = find(id);
    if (viewer == nullptr) return;
    if (!viewer->member.administrator) {
      keep_own(leases, [this, viewer](uint64_t other) {
        const Session* client = find(other);
        return client != nullptr && may_see(*viewer, *client);
      });
    }
    answer(id, request, std::move(leases));
  });
}

std::string Service::client_of(const Session& session) const {
  const std::string group = session.identity.group();
  return fmt::format("user {} of tenant '{}'{}", session.peer.uid, session.member.tenant->name,
                     group.empty() ? "" : " in " + group);
}

std::string Service::client_of_channel(uint32_t channel) const {
  for (const auto& [id, session] : sessions_) {
    if (session->channels.contains(channel)) return client_of(*session);
  }
  return "a client that is gone";
}

void Service::list_quarantine(Session& session, uint64_t request,
                              const control::GetQuarantineT& wanted) {
  if (auto allowed = check_administrator(session, "see what is quarantined"); !allowed.ok()) {
    refuse(session.id, request, allowed.error());
    return;
  }
  models_.quarantined(wanted.clear, wanted.name,
                      [this, id = session.id, request](control::QuarantineT listed) {
                        answer(id, request, std::move(listed));
                      });
}

void Service::stop_service(Session& session, uint64_t request) {
  if (auto allowed = check_administrator(session, "stop it"); !allowed.ok()) {
    refuse(session.id, request, allowed.error());
    return;
  }
  answer(session.id, request, control::DoneT{});
  loop_.post([this] { shut_down(); });
}

}  // namespace pocket::daemon
