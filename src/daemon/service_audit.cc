// What of a session's requests, its end and its calls goes to the audit trail.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "daemon/service.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

// Of clients that have gone: what their calls were refused is told up to a
// second later.
constexpr size_t kMostGone = 64;

/// Kinds of refusals; none for what is an answer like any other.
std::optional<RefusalKind> kind_of(const Error& error) {
  switch (error.code) {
    case POCKET_PERMISSION_DENIED:
      return RefusalKind::kPermission;
    case POCKET_BUSY:
    case POCKET_RESOURCE_EXHAUSTED:
      return RefusalKind::kLimit;
    default:
      return std::nullopt;
  }
}

}  // namespace

Asker Service::asker(const Session& session) const {
  Asker who;
  who.tenant = session.member.tenant->name;
  who.group = session.identity.group();
  who.name = session.name;
  who.pid = session.peer.pid;
  who.uid = session.peer.uid;
  who.session = session.id;
  return who;
}

void Service::audit(const Session& session, RefusalKind kind, const std::string& what,
                    const Error& why) {
  audit_.refused({kind, asker(session), what, why});
}

void Service::audit_failure(const Session& session, uint64_t request, const Error& error) {
  const auto kind = kind_of(error);
  if (!kind) return;
  // Of an answer that had to wait only the number of the request is known.
  const bool now = request == session.asked_id && session.asked != control::Body::NONE;
  audit(session, *kind,
        now ? control::EnumNameBody(session.asked) : fmt::format("request {}", request), error);
}

void Service::audit_turned_away(const std::string& tenant, const ipc::PeerIdentity& peer,
                                const ClientIdentity& identity, const Error& error) {
  const auto kind = kind_of(error);
  if (!kind) return;
  Asker who;
  who.tenant = tenant;
  who.group = identity.group();
  who.pid = peer.pid;
  who.uid = peer.uid;
  audit_.refused({*kind, std::move(who), fmt::format("connecting to {}", identity.socket), error});
}

/// A session ends in order with UNAVAILABLE; PERMISSION_DENIED was told before.
void Service::audit_end(const Session& session, const Error& reason) {
  gone_.emplace_back(session.id, asker(session));
  if (gone_.size() > kMostGone) gone_.pop_front();
  if (reason.code == POCKET_UNAVAILABLE || reason.code == POCKET_PERMISSION_DENIED) return;
  const bool limit = reason.code == POCKET_RESOURCE_EXHAUSTED;
  audit(session, limit ? RefusalKind::kLimit : RefusalKind::kMalformed, "connection closed",
        reason);
}

void Service::audit_calls(const control::RunnerRefusalsT& refusals) {
  for (const auto& entry : refusals.refusals) {
    Refusal refusal;
    refusal.kind = entry->kind == 1   ? RefusalKind::kMalformed
                   : entry->kind == 2 ? RefusalKind::kHandle
                                      : RefusalKind::kLimit;
    const auto gone = std::ranges::find_if(
        gone_, [&](const auto& other) { return other.first == entry->session; });
    if (const Session* session = find(entry->session)) {
      refusal.who = asker(*session);
    } else if (gone != gone_.end()) {
      refusal.who = gone->second;
    } else {
      refusal.who.tenant = "(gone)";
      refusal.who.session = entry->session;
    }
    const LoadedModel* model = models_.loaded(entry->model);
    refusal.what = fmt::format("call of {}", model == nullptr ? "a model" : model->source.name);
    const auto status = static_cast<pocket_status>(entry->status);
    refusal.why = {status == POCKET_OK ? POCKET_INTERNAL : status, entry->message};
    refusal.count = entry->count;
    audit_.refused(refusal);
  }
  if (refusals.left_out > 0) {
    Refusal rest;
    rest.kind = RefusalKind::kLimit;
    rest.who.tenant = "(several)";
    rest.what = "calls";
    rest.why = {POCKET_BUSY, "of more clients than a runner tells of"};
    rest.count = refusals.left_out;
    audit_.refused(rest);
  }
}

}  // namespace pocket::daemon
