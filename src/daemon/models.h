// The loaded models: one copy for each (contents, engine, options), whatever the names and however
// many the clients.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/background.h"
#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "daemon/lending.h"
#include "daemon/note.h"
#include "daemon/quarantine.h"
#include "daemon/runner_process.h"
#include "model/repository.h"

namespace pocket::daemon {

enum class ModelState { kUnloaded, kLoading, kReady, kFailed };

/// One copy of a model. Owned by Models; the address is stable until the service ends.
struct LoadedModel {
  std::string key;
  model::ModelSource source;
  std::string engine;
  std::string digest;
  std::string group;
  uint32_t id = 0;
  ModelState state = ModelState::kUnloaded;
  std::string error;
  RunnerProcess* runner = nullptr;  // while loading and ready
  std::vector<wire::control::TensorInfoT> inputs;
  std::vector<wire::control::TensorInfoT> outputs;
  double load_ms = 0;
  uint64_t memory_bytes = 0;
  uint32_t channels = 0;
  uint32_t restarts = 0;
  uint32_t crashes = 0;  // in a row
  bool watched = false;  // its runner writes calls down
  uint64_t ready_ns = 0;
  uint64_t not_before_ns = 0;  // after crashes in a row: no new start before this
  uint64_t last_used_ns = 0;
  EventLoop::TimerId idle_timer = 0;
  EventLoop::TimerId load_timer = 0;
  std::vector<std::function<void(Result<LoadedModel*>)>> waiters;
};

/// A loaded copy, and the entry of the repository under which it was asked for.
struct OpenedModel {
  LoadedModel* model = nullptr;
  model::ModelSource source;
};

/// What a runner says of its calls; models and tenants by number.
struct RunnerUsage {
  pid_t pid = 0;
  std::string engine;
  bool answered = false;
  wire::control::RunnerStatsT stats;
};

/// Loads, shares, keeps and unloads models, each group of them in a runner of its own. Loop's
/// thread only.
class Models {
 public:
  using Opened = std::function<void(Result<OpenedModel>)>;
  using OnRunnerDeath = std::function<void(RunnerProcess& runner, const std::string& how)>;
  /// Whose channel this is, in words that stay the same when the client connects anew.
  using ClientOf = std::function<std::string(uint32_t channel)>;

  /// A channel of a runner that was taken over.
  struct AdoptedChannel {
    RunnerProcess* runner = nullptr;
    LoadedModel* model = nullptr;  // none: nobody knows which
    wire::control::RunnerChannelT what;
  };
  using Adopted = std::function<void(std::vector<AdoptedChannel> channels)>;

  Models(EventLoop& loop, const Config& config, Lending& lending, Survival& survival,
         OnRunnerDeath on_runner_death, ClientOf client_of);

  /// Where what runners refused is told; before anything else.
  void on_refusals(RunnerProcess::OnRefusals refused) { on_refusals_ = std::move(refused); }

  /// Takes over what an earlier pocketd left running. A runner that does not say what it has within
  /// some seconds, or comes from another version, is ended. `adopted` is called once, from the loop
  /// or at once; a runner may end after that, before the channels are used. Before anything else.
  void adopt(Adopted adopted);

  /// Finds and, where needed, loads; callers that ask for the same copy meanwhile share the load.
  void open(const std::string& name, const std::string& version, const std::string& engine,
            Opened opened);
  /// A channel came (+1) or went (-1); the last one starts the keep-alive time.
  void use(LoadedModel& model, int channels);
  /// Channels to the models of one runner.
  uint64_t channels_of(const RunnerProcess& runner) const;
  /// Its copies in all engines, or ("engine" is not empty) in one. FAILED_PRECONDITION while
  /// clients use one of them, and then none is unloaded; NOT_FOUND when it is not loaded.
  Result<void> unload(const std::string& name, const std::string& version,
                      const std::string& engine);
  using Shown = std::function<bool(const model::ModelSource& source)>;
  /// Every model of the repository, loaded or not; with `shown`, those for which it is true, and
  /// nothing of damaged entries.
  std::vector<wire::control::ModelEntryT> list(const Shown& shown = nullptr) const;
  /// An entry of the repository; nothing is loaded.
  Result<model::ModelSource> find(const std::string& name, const std::string& version) const {
    return repository_.find(name, version);
  }
  /// Tells every runner what a tenant may from now on.
  void tell_runners(const wire::control::RunnerTenantT& tenant);
  std::vector<wire::control::RunnerEntryT> list_runners() const;
  /// Asks every runner, also for what the calls of these sessions came to; `done` is called once,
  /// when all have answered or a second later.
  void gather_usage(const std::vector<uint64_t>& sessions,
                    std::function<void(std::vector<RunnerUsage>)> done);
  /// A loaded copy by the number that its runner knows it by; none when it is gone.
  const LoadedModel* loaded(uint32_t id) const;
  std::vector<const LoadedModel*> all_loaded() const;
  /// PERMISSION_DENIED to a client whose requests ended several runners of this model.
  Result<void> check_client(const std::string& client, const LoadedModel& model) const;
  /// Requests that are refused, of one model or ("") all; with `clear` they are not any more once
  /// `done` is called.
  using Quarantined = std::function<void(wire::control::QuarantineT)>;
  void quarantined(bool clear, const std::string& name, const Quarantined& done);
  const std::string& root() const { return repository_.root(); }

  /// Ends every runner; `done` is called once none is left.
  void shut_down(uint64_t grace_ns, std::function<void()> done);

 private:
  struct Runner {
    std::unique_ptr<RunnerProcess> process;
    std::string group;
  };
  void open_source(model::ModelSource source, const std::string& engine, const std::string& digest,
                   const Opened& opened);
  void remember_key(const std::string& name, const std::string& version, const std::string& key);
  LoadedModel& entry_for(model::ModelSource source, const std::string& engine,
                         const std::string& digest);
  void start_load(LoadedModel& model);
  Result<RunnerProcess*> runner_for(const LoadedModel& model);
  RunnerFiles files_of(const LoadedModel& model) const;
  void finish_load(LoadedModel& model, Result<wire::control::MessageT> reply);
  void answer_waiters(LoadedModel& model, const Result<LoadedModel*>& result);
  void forget_runner(RunnerProcess& runner, const std::string& how);
  void release(LoadedModel& model);
  void judge_crash(const RunnerProcess& runner);
  void restore_quarantine();
  void keep_quarantine();
  void end_watch_later(const std::string& key);
  /// `told`: whatever becomes of it, once the runner has answered.
  void watch_calls(LoadedModel& model, std::function<void()> told = nullptr);
  void start_idle_timer(LoadedModel& model);
  struct Adoption;
  void describe(const std::shared_ptr<Adoption>& adoption, RunnerProcess& runner,
                uint32_t after_model, uint32_t after_channel);
  bool take_in(Adoption& adoption, RunnerProcess& runner,
               const wire::control::RunnerDescriptionT& description);
  void restore(RunnerProcess& runner, const wire::control::RunnerLoadedModelT& loaded);
  Runner* find_runner(const RunnerProcess* process);
  Result<void> check_engine(const std::string& engine) const;
  std::string engine_of(const model::ModelSource& source, const std::string& wanted) const;

  EventLoop& loop_;
  const Config& config_;
  Lending& lending_;
  Survival& survival_;
  OnRunnerDeath on_runner_death_;
  RunnerProcess::OnRefusals on_refusals_;
  ClientOf client_of_;
  Quarantine quarantine_;
  std::optional<Note> quarantine_note_;  // for the next pocketd, from the first crash on
  model::Repository repository_;
  std::map<std::string, std::unique_ptr<LoadedModel>> models_;  // by key
  /// "name\nversion" to the keys opened under it, the last one last: one for each engine.
  std::map<std::string, std::vector<std::string>> keys_;
  std::vector<Runner> runners_;
  std::function<void()> on_empty_;
  Background background_;  // last: ends before what its work refers to
};

}  // namespace pocket::daemon
