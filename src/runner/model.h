// A model as the runner holds it: the loaded copy, its idle contexts and its counters.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "engine/model.h"
#include "runner/overlap.h"

namespace pocket::runner {

/// Shared by the channels that use it; the last of them and the table let it go. Any thread.
class RunnerModel {
 public:
  /// `threads`: how many all its runs together may keep busy.
  RunnerModel(uint32_t id, engine::Model model, uint32_t concurrency, uint32_t threads = 1)
      : id_(id), concurrency_(concurrency), threads_(threads), model_(std::move(model)) {}

  uint32_t id() const { return id_; }
  uint32_t concurrency() const { return concurrency_; }
  uint32_t threads() const { return threads_; }
  const std::vector<engine::TensorInfo>& inputs() const { return model_.inputs(); }
  const std::vector<engine::TensorInfo>& outputs() const { return model_.outputs(); }

  /// Runs the model in an idle context, which is made when there is none.
  Result<void> run(std::span<const pocket_engine_input> inputs,
                   std::span<pocket_engine_output> outputs);

  /// How many threads the runs may keep busy from now on; 0: no bound.
  void limit_threads(uint32_t threads) { model_.limit_threads(threads); }

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
  void change_running(int by);

  const uint32_t id_;
  const uint32_t concurrency_;
  const uint32_t threads_;
  engine::Model model_;
  Counters counters_;
  std::atomic<int> running_{0};
  Mutex mutex_;
  std::vector<engine::Context> idle_ POCKET_GUARDED_BY(mutex_);  // destroyed before model_
};

/// Checks a call's inputs and outputs against the model: every input once, right dtype, a shape
/// that fits. INVALID_ARGUMENT names the tensor, what is expected and what was given.
Result<void> check_tensor(const engine::TensorInfo& expected, int32_t dtype,
                          std::span<const int64_t> shape);

/// Runs the model once, with zeros (integers: ones) where every shape can be made concrete (dynamic
/// sizes become 1).
Result<void> warm_up(RunnerModel& model);

}  // namespace pocket::runner
