// The models of a runner, and the engines that run them: one copy of each model, however often
// used.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "engine/plugin.h"
#include "runner/model.h"
#include "wire/control.h"

namespace pocket::runner {

/// Any thread. Loading takes seconds; others load meanwhile, but one key is loaded once.
class ModelTable {
 public:
  /// `own`: the engine of loads that name none. `others`: those that are loaded already, or why
  /// they could not be. Further ones are taken from `engine_dir` when the first model wants them,
  /// which the sandbox may forbid.
  ModelTable(engine::Plugin own, engine::Plugins others, std::string engine_dir)
      : own_(own), engine_dir_(std::move(engine_dir)), plugins_(std::move(others)) {}

  /// The model of that key where it is loaded, else a fresh copy, with all it uses.
  /// `scratch`: the files that came with the order. `budget_threads`: how many threads the budget
  /// is good for now; 0: no bound.
  Result<std::shared_ptr<RunnerModel>> load(const wire::control::RunnerLoadT& load,
                                            std::span<const UniqueFd> scratch,
                                            uint32_t budget_threads);
  /// How many threads each model may keep busy from now on; 0: no bound.
  void limit_threads(uint32_t threads);

 private:
  struct Slot {
    Mutex loading;                     // held meanwhile; taken before mutex_
    std::weak_ptr<RunnerModel> model;  // guarded by mutex_
  };
  std::shared_ptr<Slot> slot_of(const std::string& key);
  std::shared_ptr<RunnerModel> model_in(const Slot& slot);
  Result<engine::Plugin> plugin_for(const std::string& engine);
  Result<std::shared_ptr<RunnerModel>> load_fresh(const wire::control::RunnerLoadT& load,
                                                  std::span<const UniqueFd> scratch,
                                                  uint32_t budget_threads);

  const engine::Plugin own_;
  const std::string engine_dir_;
  Mutex mutex_;
  engine::Plugins plugins_ POCKET_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Slot>> slots_ POCKET_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<RunnerModel>> loaded_ POCKET_GUARDED_BY(mutex_);
};

}  // namespace pocket::runner
