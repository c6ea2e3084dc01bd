// A model as the runner holds it: the loaded copy, its idle contexts and its counters.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "engine/model.h"
#include "runner/overlap.h"
#include "runner/watch.h"

namespace pocket::runner {

class Peers;
class RunnerModel;

/// A session's use of a model, from its first channel to its last. Any thread.
struct Client {
  explicit Client(std::weak_ptr<RunnerModel> used);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();  // tells the engine that this client is gone

  const uint64_t number;  // in this process, never used again
  const std::weak_ptr<RunnerModel> model;
};

/// Shared by the channels that use it; the last of them and the table let it go. Any thread.
class RunnerModel : public std::enable_shared_from_this<RunnerModel> {
 public:
  /// `threads`: how many all its runs together may keep busy.
  RunnerModel(engine::Model model, uint32_t concurrency, uint32_t threads = 1);
  /// `peers`: the models it may call.
  RunnerModel(engine::Model model, uint32_t concurrency, uint32_t threads,
              std::unique_ptr<Peers> peers);
  ~RunnerModel();

  uint32_t concurrency() const { return concurrency_; }
  uint32_t threads() const { return threads_; }
  const std::vector<engine::TensorInfo>& inputs() const { return model_.inputs(); }
  const std::vector<engine::TensorInfo>& outputs() const { return model_.outputs(); }

  /// Runs the model in an idle context, which is made when there is none. `call`: whose it is, null
  /// for the runner's own.
  Result<void> run(std::span<const pocket_engine_input> inputs,
                   std::span<pocket_engine_output> outputs,
                   const pocket_engine_call* call = nullptr);
  /// Whether its engine looks at `call`.
  bool follows_calls() const { return model_.follows_calls(); }

  /// What a session that uses the model holds as long as it does.
  std::shared_ptr<const Client> join(uint64_t session);
  /// Tells the engine, and those of the models it may call, that no call of a client comes any
  /// more.
  void client_gone(uint64_t client);

  /// No run is expected for a while: the engine's threads may sleep.
  void rest();
  /// Whether its engine has something to give back while it rests.
  bool gives_back() const { return model_.gives_back(); }
  /// Lets go what only runs need, unless some run now. False: they do.
  bool give_back();
  /// How many threads the runs may keep busy from now on; 0: no bound.
  void limit_threads(uint32_t threads) { model_.limit_threads(threads); }

  /// Its calls are written down from now on; null: no more.
  void set_watch(std::shared_ptr<const Watch> watch);
  std::shared_ptr<const Watch> watch() const;

  struct Counters {
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> errors{0};
    std::atomic<uint64_t> queue_ns{0};
    std::atomic<uint64_t> compute_ns{0};
    std::atomic<uint64_t> last_call_ns{0};
  };
  Counters& counters() { return counters_; }

  ModelTurns turns;  // guarded by the scheduler's lock

 private:
  Result<engine::Context> take_context();
  void started();

  const uint32_t concurrency_;
  const uint32_t threads_;
  const std::unique_ptr<Peers> peers_;  // destroyed after model_, which calls them
  engine::Model model_;
  Counters counters_;
  std::atomic<int> running_{0};
  Mutex running_mutex_;    // held while the engine is told
  Mutex give_back_mutex_;  // held while the engine gives back
  std::atomic<bool> watched_{false};
  mutable Mutex mutex_;
  std::shared_ptr<const Watch> watch_ POCKET_GUARDED_BY(mutex_);
  std::vector<engine::Context> idle_ POCKET_GUARDED_BY(mutex_);  // destroyed before model_
  std::unordered_map<uint64_t, std::weak_ptr<const Client>> clients_ POCKET_GUARDED_BY(mutex_);
};

/// Whether a call may leave this input out.
inline bool is_optional(const engine::TensorInfo& input) {
  return input.dtype == POCKET_DTYPE_UNDEFINED;
}

/// Checks one input of a call against the model: right dtype, a shape that fits. INVALID_ARGUMENT
/// names the tensor, what is expected and what was given.
Result<void> check_tensor(const engine::TensorInfo& expected, int32_t dtype,
                          std::span<const int64_t> shape);

/// Runs the model once, with zeros (integers: ones) where every shape can be made concrete (dynamic
/// sizes become 1).
Result<void> warm_up(RunnerModel& model);

}  // namespace pocket::runner
