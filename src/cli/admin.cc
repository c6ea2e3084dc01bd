#include "cli/admin.h"

#include "base/clock.h"

namespace pocket::cli {
namespace {

namespace control = wire::control;

constexpr uint64_t kAnswerNs = 30 * kNanosecondsPerSecond;
constexpr uint64_t kLoadNs = 600 * kNanosecondsPerSecond;

Error unexpected() {
  return Error{POCKET_DATA_LOSS, "the service gave an answer of another kind than asked for"};
}

}  // namespace

Result<std::shared_ptr<client::Session>> connect(const std::string& socket) {
  client::SessionOptions options;
  options.socket_path = socket;
  options.client_name = "pocket";
  options.reconnect = false;
  return client::Session::connect(std::move(options));
}

Result<control::StatusT> get_status(client::Session& session) {
  POCKET_ASSIGN_OR_RETURN(auto reply, session.request(control::GetStatusT{}, kAnswerNs));
  auto* status = reply.message.body.AsStatus();
  if (status == nullptr) return unexpected();
  return std::move(*status);
}

Result<control::ModelsT> list_models(client::Session& session) {
  POCKET_ASSIGN_OR_RETURN(auto reply, session.request(control::ListModelsT{}, kAnswerNs));
  auto* models = reply.message.body.AsModels();
  if (models == nullptr) return unexpected();
  return std::move(*models);
}

Result<void> load_model(client::Session& session, const std::string& name,
                        const std::string& version, const std::string& engine) {
  control::LoadModelT load;
  load.name = name;
  load.version = version;
  load.engine = engine;
  POCKET_RETURN_IF_ERROR(session.request(std::move(load), kLoadNs));
  return ok_result();
}

Result<void> unload_model(client::Session& session, const std::string& name,
                          const std::string& version, const std::string& engine) {
  control::UnloadModelT unload;
  unload.name = name;
  unload.version = version;
  unload.engine = engine;
  POCKET_RETURN_IF_ERROR(session.request(std::move(unload), kAnswerNs));
  return ok_result();
}

Result<control::LeasesT> get_leases(client::Session& session, bool reconcile) {
  control::GetLeasesT ask;
  ask.reconcile = reconcile;
  POCKET_ASSIGN_OR_RETURN(auto reply, session.request(std::move(ask), kAnswerNs));
  auto* leases = reply.message.body.AsLeases();
  if (leases == nullptr) return unexpected();
  return std::move(*leases);
}

Result<control::UsageT> get_usage(client::Session& session) {
  POCKET_ASSIGN_OR_RETURN(auto reply, session.request(control::GetUsageT{}, kAnswerNs));
  auto* usage = reply.message.body.AsUsage();
  if (usage == nullptr) return unexpected();
  return std::move(*usage);
}

Result<control::QuarantineT> get_quarantine(client::Session& session, bool clear,
                                            const std::string& model) {
  control::GetQuarantineT ask;
  ask.clear = clear;
  ask.name = model;
  POCKET_ASSIGN_OR_RETURN(auto reply, session.request(std::move(ask), kAnswerNs));
  auto* quarantine = reply.message.body.AsQuarantine();
  if (quarantine == nullptr) return unexpected();
  return std::move(*quarantine);
}

Result<void> upgrade_service(client::Session& session) {
  POCKET_RETURN_IF_ERROR(session.request(control::UpgradeServiceT{}, kAnswerNs));
  return ok_result();
}

Result<control::ReloadedT> reload(client::Session& session) {
  POCKET_ASSIGN_OR_RETURN(auto reply, session.request(control::ReloadT{}, kAnswerNs));
  auto* reloaded = reply.message.body.AsReloaded();
  if (reloaded == nullptr) return unexpected();
  return std::move(*reloaded);
}

Result<void> stop_service(client::Session& session) {
  POCKET_RETURN_IF_ERROR(session.request(control::StopServiceT{}, kAnswerNs));
  return ok_result();
}

}  // namespace pocket::cli
