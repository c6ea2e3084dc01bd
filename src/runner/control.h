// The runner's conversation with pocketd.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "engine/plugin.h"
#include "ipc/control_socket.h"
#include "runner/model_table.h"
#include "runner/workers.h"
#include "wire/control.h"

namespace pocket::runner {

/// Serves one control socket until pocketd says to end or is gone. run() belongs to one thread.
class Control {
 public:
  /// `plugin`: the engine of models that name none; others are in `others`, else looked for in
  /// `engine_dir`.
  Control(UniqueFd socket, engine::Plugin plugin, engine::Plugins others,
          const std::string& engine_dir, std::unique_ptr<Workers> workers)
      : socket_(std::move(socket)),
        plugin_(plugin),
        table_(plugin, std::move(others), engine_dir),
        workers_(std::move(workers)) {}
  ~Control();

  /// Returns when the runner should end.
  Result<void> run();

 private:
  using Message = wire::control::MessageT;
  struct BackgroundThread {
    std::thread thread;
    std::atomic<bool> over{false};
  };
  bool handle(Message message, std::vector<UniqueFd> fds);  // false: end
  void load(uint64_t request, wire::control::RunnerLoadT load, std::vector<UniqueFd> scratch);
  Result<wire::control::RunnerLoadedT> load_now(const wire::control::RunnerLoadT& load,
                                                std::span<const UniqueFd> scratch);
  void unload(uint64_t request, uint32_t model);
  /// Ends this process when it is still there a while later: a call that never ends must keep
  /// neither its client waiting nor its memory.
  void end_soon();
  /// Runs something long on a thread of its own, and joins the threads of those that are over.
  void in_background(uint64_t request, std::function<void()> work);
  Result<void> attach(const wire::control::RunnerAttachT& attach, std::vector<UniqueFd> fds);
  Result<void> grow(const wire::control::RunnerGrowT& grow, std::vector<UniqueFd> fds);
  void detach(uint64_t request, const wire::control::RunnerDetachT& detach);
  void describe(uint64_t request, const wire::control::RunnerDescribeT& wanted);
  void remember(const wire::control::RunnerLoadT& load, const wire::control::RunnerLoadedT& loaded)
      POCKET_REQUIRES(models_mutex_);
  template <typename Table>
  void set_rules(const Table& tenant);  // RunnerAttach or RunnerTenant
  void get_stats(uint64_t request, const wire::control::RunnerGetStatsT& wanted);
  void get_refusals(uint64_t request);
  Result<void> watch(const wire::control::RunnerWatchT& watch, const std::vector<UniqueFd>& fds);
  Result<void> use_board(std::vector<UniqueFd> fds);
  void limit_threads(uint32_t threads);
  std::shared_ptr<HandleStore> handles_of(uint64_t session, uint32_t tenant);

  template <typename Table>
  void send(uint64_t request, Table body) {
    send_packet(wire::encode_message(request, std::move(body)));
  }
  void send_packet(const std::vector<uint8_t>& packet);
  void answer(uint64_t request, const Result<void>& result);

  UniqueFd socket_;
  Mutex send_mutex_;
  engine::Plugin plugin_;
  ModelTable table_;
  Mutex models_mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<RunnerModel>> models_
      POCKET_GUARDED_BY(models_mutex_);
  // The same models as a later pocketd is told of them.
  std::map<uint32_t, wire::control::RunnerLoadedModelT> loaded_ POCKET_GUARDED_BY(models_mutex_);
  std::atomic<uint32_t> loading_{0};
  std::unordered_map<uint64_t, std::weak_ptr<HandleStore>> handles_;  // by session
  std::map<uint32_t, std::shared_ptr<KeptBudget>> kept_;              // by tenant
  std::shared_ptr<Board> board_;  // set before the first channel; none: nothing is lent
  std::list<BackgroundThread> background_;
  std::shared_ptr<Turnstile> turnstile_ = std::make_shared<Turnstile>();
  std::unique_ptr<Workers> workers_;
  bool orphaned_ = false;  // pocketd died
  std::jthread end_;       // of end_soon
};

}  // namespace pocket::runner
