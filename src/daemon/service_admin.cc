// Questions and orders about the service itself.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/service.h"

namespace pocket::daemon {

namespace control = wire::control;

void Service::handle_admin(Session& session, uint64_t request, const control::MessageT& message) {
  if (message.body.AsListModels() != nullptr) {
    control::ModelsT models;
    for (auto& entry : models_.list()) {
      models.models.push_back(std::make_unique<control::ModelEntryT>(std::move(entry)));
    }
    answer(session.id, request, std::move(models));
  } else if (message.body.AsGetStatus() != nullptr) {
    answer(session.id, request, status());
  } else if (const auto* load = message.body.AsLoadModel()) {
    load_model(session, request, *load);
  } else if (const auto* unload = message.body.AsUnloadModel()) {
    auto done = models_.unload(unload->name, unload->version);
    if (done.ok()) {
      answer(session.id, request, control::DoneT{});
    } else {
      refuse(session.id, request, done.error());
    }
  } else if (const auto* leases = message.body.AsGetLeases()) {
    list_leases(session, request, leases->reconcile);
  } else if (message.body.AsStopService() != nullptr) {
    stop_service(session, request);
  } else {
    refuse(session.id, request,
           Error{POCKET_UNIMPLEMENTED, "this service does not know that kind of message"});
  }
}

void Service::load_model(Session& session, uint64_t request, const control::LoadModelT& load) {
  if (auto room = check_pending(session); !room.ok()) {
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
  if (session.peer.uid == ::geteuid() || session.peer.uid == 0) return ok_result();
  return Error{POCKET_PERMISSION_DENIED,
               fmt::format("only the service's own user ({}) and root may {}; you are user {}",
                           ::geteuid(), what, session.peer.uid)};
}

void Service::list_leases(Session& session, uint64_t request, bool reconcile) {
  // It names every client and its group.
  if (auto allowed = check_administrator(session, "see its leases"); !allowed.ok()) {
    refuse(session.id, request, allowed.error());
    return;
  }
  lending_.report(reconcile, [this, id = session.id, request](control::LeasesT leases) {
    answer(id, request, std::move(leases));
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

control::StatusT Service::status() const {
  constexpr size_t kMostSessions = 512;  // an answer must fit one packet
  control::StatusT status;
  status.service_version = POCKET_VERSION_TEXT;
  status.pid = ::getpid();
  status.uptime_seconds = static_cast<double>(monotonic_ns() - started_ns_) / 1e9;
  status.socket = config_.socket;
  status.models_dir = config_.models;
  status.ready = ready_ && !stopping_;
  for (const auto& [id, session] : sessions_) {
    if (status.sessions.size() == kMostSessions) {
      status.notes.push_back(
          fmt::format("{} sessions are connected; {} are shown", sessions_.size(), kMostSessions));
      break;
    }
    auto entry = std::make_unique<control::SessionEntryT>();
    entry->session = id;
    entry->pid = session->peer.pid;
    entry->uid = session->peer.uid;
    entry->name = session->name;
    entry->channels = static_cast<uint32_t>(session->channels.size());
    entry->region_bytes = session->bytes;
    status.sessions.push_back(std::move(entry));
  }
  status.notes.insert(status.notes.end(), lending_.notes().begin(), lending_.notes().end());
  status.notes.insert(status.notes.end(), protection_notes_.begin(), protection_notes_.end());
  for (auto& runner : models_.list_runners()) {
    status.runners.push_back(std::make_unique<control::RunnerEntryT>(std::move(runner)));
  }
  return status;
}

}  // namespace pocket::daemon
