// The service: who is connected, what they have open, and the answers to their control messages.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/audit.h"
#include "daemon/channel.h"
#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "daemon/lending.h"
#include "daemon/models.h"
#include "daemon/packet_link.h"
#include "daemon/tenants.h"
#include "ipc/peer.h"

namespace pocket::daemon {

/// The name under which a client's connection is kept for a later pocketd.
std::string session_name(uint64_t session);

/// Loop's thread only.
class Service {
 public:
  /// The configuration as a start would read it now, complete.
  using ReadConfig = std::function<Result<Config>()>;

  /// `config` changes when it is read anew, and must outlive the service.
  Service(EventLoop& loop, Config& config, Survival& survival, ReadConfig read_config);
  ~Service();

  /// Takes over what an earlier pocketd left, then listens on the socket; `on_ready` is called when
  /// it does and every model to preload is loaded.
  Result<void> start(std::function<void()> on_ready);
  /// Stops accepting, lets calls in flight finish, ends every runner, then stops the loop.
  void shut_down();
  /// Reads the configuration anew and puts into force what can be, all at once. An error with file,
  /// line and key: nothing has changed.
  Result<wire::control::ReloadedT> reload();
  const std::string& failure() const { return failure_; }

 private:
  struct Channel {
    uint32_t id;
    uint64_t session;
    LoadedModel* model;       // nullptr once its runner is gone
    RunnerProcess* runner;    // nullptr once it is gone
    Mapping response_header;  // none where the channel was adopted
    uint32_t regions = 1;
    uint64_t bytes = 0;
    TenantShare share;
    std::string model_name;  // as the client called it
    std::string model_version;
  };
  /// Opened anew, not in use yet.
  struct Logs {
    log::Prepared lines;
    UniqueFd trail;
  };
  struct Listener {
    std::string path;
    UniqueFd fd;
  };
  struct Session {
    uint64_t id;
    std::unique_ptr<PacketLink> link;
    ipc::PeerIdentity peer;
    ClientIdentity identity;
    Member member;
    TenantShare share;
    std::string name;
    bool greeted = false;
    ClientPolicies policies;
    uint64_t bytes = 0;
    uint64_t asked_id = 0;  // the request that is being handled, or was last
    wire::control::Body asked = wire::control::Body::NONE;
    uint32_t pending = 0;  // requests that wait for a model or a runner
    EventLoop::TimerId greeting_timer = 0;
    std::unordered_map<uint32_t, std::unique_ptr<Channel>> channels;
  };

  Result<std::unique_ptr<Listener>> listen(const std::string& path, mode_t mode,
                                           std::optional<gid_t> group);
  Result<void> watch(Listener& listener);
  void stop_listening(Listener& listener);
  void accept_clients(const Listener& listener);
  void accept_client(UniqueFd socket);
  Result<Session*> add_session(uint64_t id, UniqueFd& socket, ipc::PeerIdentity peer);
  void take_over(std::vector<Models::AdoptedChannel> channels);
  void adopt_session(const State::Saved& saved);
  void adopt_channel(Models::AdoptedChannel& adopted);
  void upgrade_service(Session& session, uint64_t request);
  void turn_away_client(const Listener& listener);
  void turn_away(UniqueFd socket, const Error& error);
  void end_session(uint64_t session, const Error& reason);
  void handle(Session& session, wire::control::MessageT message);
  void greet(Session& session, uint64_t request, const wire::control::HelloT& hello);
  Result<void> accept_hello(Session& session, const wire::control::HelloT& hello);
  Result<void> check_pending(const Session& session) const;
  void open_model(Session& session, uint64_t request, const wire::control::OpenModelT& open);
  void make_channel(uint64_t session, uint64_t request, const wire::control::OpenModelT& open,
                    OpenedModel model, TenantShare share);
  Result<void> check_runner(const RunnerProcess& runner) const;
  void finish_channel(uint64_t session, uint64_t request, std::unique_ptr<Channel> channel,
                      ChannelParts parts, const model::ModelSource& source,
                      const Result<wire::control::MessageT>& reply);
  void grow_channel(Session& session, uint64_t request, const wire::control::GrowChannelT& grow);
  void take_back_growth(uint64_t session, uint32_t channel, uint64_t bytes);
  void close_channel(Session& session, uint64_t request, uint32_t channel);
  void detach(Channel& channel, std::function<void()> done);
  void handle_admin(Session& session, uint64_t request, const wire::control::MessageT& message);
  void load_model(Session& session, uint64_t request, const wire::control::LoadModelT& load);
  void stop_service(Session& session, uint64_t request);
  std::string client_of(const Session& session) const;
  std::string client_of_channel(uint32_t channel) const;
  void list_quarantine(Session& session, uint64_t request,
                       const wire::control::GetQuarantineT& wanted);
  void list_leases(Session& session, uint64_t request, bool reconcile);
  Result<void> check_administrator(const Session& session, const char* what) const;
  /// PERMISSION_DENIED, or NOT_FOUND without a word of models that the session may not use.
  Result<void> check_model(const Session& session, const std::string& name,
                           const std::string& version) const;
  Error unknown_model(const Session& session, const std::string& name) const;
  /// Its own sessions, those of its tenant, or all.
  bool may_see(const Session& viewer, const Session& other) const;
  wire::control::ModelsT models_for(const Session& session) const;
  wire::control::StatusT status(const Session& session) const;
  static bool counts_by_session(const Session& viewer);
  void get_usage(Session& session, uint64_t request);
  wire::control::UsageT usage_for(const Session& viewer, std::vector<RunnerUsage> answers) const;
  Result<std::vector<std::unique_ptr<Listener>>> prepare_sockets(const AccessConfig& wanted);
  static Result<Logs> prepare_logs(const LogConfig& wanted);
  void reopen_logs();
  void review_sessions();
  void review_channels(Session& session);
  void break_channel(Session& session, Channel& channel, const std::string& why);
  void runner_died(RunnerProcess& runner, const std::string& how);
  Asker asker(const Session& session) const;
  void audit(const Session& session, RefusalKind kind, const std::string& what, const Error& why);
  void audit_failure(const Session& session, uint64_t request, const Error& error);
  void audit_turned_away(const std::string& tenant, const ipc::PeerIdentity& peer,
                         const ClientIdentity& identity, const Error& error);
  void audit_end(const Session& session, const Error& reason);
  void audit_calls(const wire::control::RunnerRefusalsT& refusals);
  void preload();
  void become_ready();
  Result<void> check_budget(const Session& session, uint64_t request_bytes,
                            uint64_t response_bytes) const;

  Session* find(uint64_t session);
  template <typename Table>
  void answer(uint64_t session, uint64_t request, Table body, std::vector<UniqueFd> fds = {}) {
    send(session, request, wire::encode_message(request, std::move(body)), std::move(fds));
  }
  void send(uint64_t session, uint64_t request, std::vector<uint8_t> packet,
            std::vector<UniqueFd> fds);
  void refuse(uint64_t session, uint64_t request, const Error& error);

  EventLoop& loop_;
  Config& config_;
  Survival& survival_;
  const ReadConfig read_config_;
  Audit audit_;
  std::deque<std::pair<uint64_t, Asker>> gone_;  // sessions that ended last
  Tenants tenants_;
  Lending lending_;
  Models models_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // the service's own socket first
  UniqueFd spare_;  // given up for a moment to turn a client away when no descriptor is left
  std::function<void()> on_ready_;
  std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;
  uint64_t started_ns_;
  size_t preloads_left_ = 0;
  bool taken_over_ = false;
  bool ready_ = false;
  bool stopping_ = false;
  std::string failure_;
  std::vector<std::string> protection_notes_;  // what runners lack on this machine
};

}  // namespace pocket::daemon
