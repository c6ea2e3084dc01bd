// What a session may use and see.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>

#include "base/clock.h"
#include "daemon/service.h"
#include "daemon/views.h"

namespace pocket::daemon {

namespace control = wire::control;

Result<void> Service::check_model(const Session& session, const std::string& name,
                                  const std::string& version) const {
  const Member& member = session.member;
  if (member.administrator) return ok_result();
  std::optional<bool> is_public;
  if (tenants_.needs_entry(member, name)) {
    auto source = models_.find(name, version);
    if (!source.ok()) {
      return source.error().code == POCKET_NOT_FOUND ? unknown_model(session, name)
                                                     : std::move(source).error();
    }
    is_public = source->manifest.is_public;
  }
  if (tenants_.may_use(member, name, is_public)) return ok_result();
  return Error{POCKET_PERMISSION_DENIED,
               fmt::format("tenant '{}' may not use model '{}': ask for it to be listed in "
                           "tenant.{}.models",
                           member.tenant->name, name.substr(0, 128), member.tenant->name)};
}

Error Service::unknown_model(const Session& session, const std::string& name) const {
  constexpr size_t kMostNames = 20;
  std::vector<std::string> names;
  for (const auto& entry : models_for(session).models) {
    if (names.size() < kMostNames && (names.empty() || names.back() != entry->name)) {
      names.push_back(entry->name);
    }
  }
  return Error{
      POCKET_NOT_FOUND,
      fmt::format("there is no such model or version for tenant '{}': '{}'; it may use: {}",
                  session.member.tenant->name, name.substr(0, 128),
                  names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")))};
}

bool Service::may_see(const Session& viewer, const Session& other) const {
  if (viewer.member.administrator || viewer.id == other.id) return true;
  if (viewer.member.tenant != other.member.tenant) return false;
  // Clients of no tenant of the configuration are strangers to each other.
  return viewer.member.tenant->id != 0 || viewer.identity.is_same_client(other.identity);
}

control::ModelsT Service::models_for(const Session& session) const {
  const Member& member = session.member;
  control::ModelsT models;
  const auto shown = [&](const model::ModelSource& source) {
    return tenants_.may_use(member, source.name, source.manifest.is_public);
  };
  for (auto& entry : models_.list(member.administrator ? Models::Shown() : shown)) {
    if (!member.administrator) {
      uint32_t channels = 0;
      for (const auto& [id, other] : sessions_) {
        if (!may_see(session, *other)) continue;
        for (const auto& [number, channel] : other->channels) {
          channels += channel->model_name == entry.name && channel->model_version == entry.version;
        }
      }
      keep_own(entry, channels);
    }
    models.models.push_back(std::make_unique<control::ModelEntryT>(std::move(entry)));
  }
  return models;
}

control::StatusT Service::status(const Session& viewer) const {
  constexpr size_t kMostSessions = 512;  // an answer must fit one packet
  const bool all = viewer.member.administrator;
  control::StatusT status;
  status.service_version = POCKET_VERSION_TEXT;
  status.pid = ::getpid();
  status.uptime_seconds = static_cast<double>(monotonic_ns() - started_ns_) / 1e9;
  status.ready = ready_ && !stopping_;
  size_t left_out = 0;
  for (const auto& [id, session] : sessions_) {
    if (!may_see(viewer, *session)) continue;
    if (status.sessions.size() == kMostSessions) {
      ++left_out;
      continue;
    }
    auto entry = std::make_unique<control::SessionEntryT>();
    entry->session = id;
    entry->pid = session->peer.pid;
    entry->uid = session->peer.uid;
    entry->name = session->name;
    entry->channels = static_cast<uint32_t>(session->channels.size());
    entry->region_bytes = session->bytes;
    entry->tenant = session->member.tenant->name;
    entry->group = session->identity.group();
    status.sessions.push_back(std::move(entry));
  }
  if (left_out > 0) {
    status.notes.push_back(fmt::format("{} sessions are connected; {} are shown",
                                       kMostSessions + left_out, kMostSessions));
  }
  for (const auto& tenant : tenants_.all()) {
    // Of those without a tenant nobody sees what the others have.
    const bool own = tenant->id != 0 && tenant == viewer.member.tenant;
    if (!all && !own) continue;
    status.tenants.push_back(std::make_unique<control::TenantEntryT>(tenant_entry(*tenant)));
  }
  if (!all) return status;
  status.socket = config_.socket;
  status.models_dir = config_.models;
  if (!config_.log.audit.empty()) {
    std::error_code error;
    status.audit = std::filesystem::absolute(config_.log.audit, error).string();
  }
  status.notes.insert(status.notes.end(), lending_.notes().begin(), lending_.notes().end());
  status.notes.insert(status.notes.end(), protection_notes_.begin(), protection_notes_.end());
  for (auto& runner : models_.list_runners()) {
    status.runners.push_back(std::make_unique<control::RunnerEntryT>(std::move(runner)));
  }
  return status;
}

}  // namespace pocket::daemon
