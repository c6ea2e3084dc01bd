// One pocket-runner process: started, spoken to, and reaped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "daemon/flights.h"
#include "daemon/packet_link.h"
#include "daemon/survival.h"

namespace pocket::daemon {

/// What a runner sees and can run. Plain data.
struct RunnerFiles {
  std::vector<std::string> engines;  // their plugins and libraries are loaded at its start
  std::vector<std::string> shown;    // files and folders
  std::string writable;              // empty: nothing
};

/// How a runner is started. Plain data.
struct RunnerStart {
  std::string engine;
  RunnerFiles files;
  bool own_group = false;  // it will have a control group that divides processors
};

/// Loop's thread only. Destroying it kills the process if it still runs. What a later pocketd needs
/// to take it over is kept (Keeper) from its start to its end.
class RunnerProcess {
 public:
  using Reply = std::function<void(Result<wire::control::MessageT>)>;
  /// Calls that it refused, since the last time.
  using OnRefusals = std::function<void(wire::control::RunnerRefusalsT)>;
  using OnDeath = std::function<void(RunnerProcess& runner, const std::string& how)>;

  /// Starts the process; requests may be made at once. `on_death` is called once, from the loop,
  /// after every pending request has been answered with UNAVAILABLE.
  static Result<std::unique_ptr<RunnerProcess>> spawn(EventLoop& loop, const Config& config,
                                                      RunnerStart start, Survival& survival,
                                                      OnDeath on_death);
  /// Takes over one that an earlier pocketd started, whose descriptors were left for this one under
  /// `number`. NOT_FOUND: some are missing.
  static Result<std::unique_ptr<RunnerProcess>> adopt(EventLoop& loop, uint32_t number,
                                                      Survival& survival, OnDeath on_death);
  ~RunnerProcess();
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;

  template <typename Table>
  void request(Table body, std::vector<UniqueFd> fds, Reply reply) {
    const uint64_t id = next_id_++;
    if (reply) replies_[id] = std::move(reply);
    link_->send(wire::encode_message(id, std::move(body)), std::move(fds));
  }

  /// From now on `refused` is called when it has refused calls: about once a
  /// second, and not at all while there are none.
  void watch_refusals(OnRefusals refused) { on_refusals_ = std::move(refused); }
  /// What it refused while nobody listened: it tells again only once it was
  /// asked.
  void ask_refusals();

  /// Asks it to end; it is killed when it has not after `grace_ns`.
  void shut_down(uint64_t grace_ns);
  void kill();

  pid_t pid() const { return pid_; }
  /// Its number among all runners since the first pocketd.
  uint32_t number() const { return number_; }
  /// The name under which something of it is kept for a later pocketd.
  static std::string kept_name(uint32_t number, const char* what);
  const std::string& engine() const { return engine_; }
  /// An adopted one says it itself.
  void set_engine(const std::string& engine) { engine_ = engine; }
  /// This model of an adopted runner is used from now on.
  void keep_model(uint32_t model) { kept_models_.insert(model); }
  /// This one is not.
  void unload_later(uint32_t model) { loaded_for_another_.insert(model); }
  /// An adopted runner has said all it has: what is not kept is unloaded, also what an earlier
  /// pocketd ordered and is loaded later.
  void unload_others();
  /// The book for the calls in flight of models that crashed before; for the runner.
  Result<UniqueFd> flight_book();
  /// What stands in it; nothing where it was never asked for.
  std::vector<Flights::Entry> flights() const;
  /// It ended by itself and not in order; nobody knows of one that was taken over.
  bool crashed() const { return crashed_; }
  bool shutting_down() const { return shutting_down_; }
  /// Whether it was started so that it sees all of that, and has the engines.
  bool sees(const RunnerFiles& files) const;
  const RunnerFiles& files() const { return files_; }
  /// An adopted one is told by its models.
  void set_files(RunnerFiles files) { files_ = std::move(files); }
  /// Memory of the process now, in bytes: proportional where the kernel tells it to pocketd, else
  /// resident; 0 when neither can be read.
  uint64_t memory_bytes() const;

 private:
  RunnerProcess(EventLoop& loop, std::string engine, uint32_t number, Survival& survival,
                OnDeath on_death);
  Result<void> start(UniqueFd control);
  void handle(wire::control::MessageT message);
  void reap();
  void kill_after(uint64_t grace_ns);
  void loaded_for_another(uint32_t model);

  EventLoop& loop_;
  std::string engine_;
  RunnerFiles files_;
  std::string last_words_;  // what it said of its end
  const uint32_t number_;
  Keeper& keeper_;
  OnDeath on_death_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::unique_ptr<PacketLink> link_;
  std::unordered_map<uint64_t, Reply> replies_;
  uint64_t next_id_;  // unlike those of an earlier pocketd
  bool shutting_down_ = false;
  bool adopted_ = false;  // somebody else's child: how it ended is not known
  bool described_ = false;
  bool crashed_ = false;
  std::optional<Flights> flights_;
  std::set<uint32_t> kept_models_;
  std::set<uint32_t> loaded_for_another_;  // an earlier pocketd asked for them
  EventLoop::TimerId kill_timer_ = 0;
  OnRefusals on_refusals_;
  bool asking_refusals_ = false;
  EventLoop::TimerId refusals_timer_ = 0;
};

}  // namespace pocket::daemon
