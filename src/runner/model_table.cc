#include "runner/model_table.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "runner/peers.h"
#include "runner/readable.h"
#include "wire/layout.h"

namespace pocket::runner {

namespace control = wire::control;

std::shared_ptr<ModelTable::Slot> ModelTable::slot_of(const std::string& key) {
  if (key.empty()) return std::make_shared<Slot>();
  MutexLock lock(mutex_);
  // What nobody loads and nobody uses is forgotten; a slot in use has another owner.
  std::erase_if(slots_, [](const auto& entry) {
    return entry.second.use_count() == 1 && entry.second->model.expired();
  });
  auto& slot = slots_[key];
  if (slot == nullptr) slot = std::make_shared<Slot>();
  return slot;
}

std::shared_ptr<RunnerModel> ModelTable::model_in(const Slot& slot) {
  MutexLock lock(mutex_);
  return slot.model.lock();
}

Result<engine::Plugin> ModelTable::plugin_for(const std::string& engine) {
  if (engine.empty() || engine == own_.api().name) return own_;
  MutexLock lock(mutex_);
  const auto found = plugins_.find(engine);
  if (found != plugins_.end()) return found->second;
  auto plugin = engine::Plugin::load(engine_dir_, engine);
  if (plugin.ok()) plugins_.emplace(engine, plugin);
  return plugin;
}

Result<std::shared_ptr<RunnerModel>> ModelTable::load(const control::RunnerLoadT& load,
                                                      std::span<const UniqueFd> scratch,
                                                      uint32_t budget_threads) {
  const auto slot = slot_of(load.key);
  const MutexLock loading(slot->loading);
  if (auto model = model_in(*slot)) return model;
  POCKET_ASSIGN_OR_RETURN(auto model, load_fresh(load, scratch, budget_threads));
  MutexLock lock(mutex_);
  slot->model = model;
  return model;
}

Result<std::shared_ptr<RunnerModel>> ModelTable::load_fresh(const control::RunnerLoadT& load,
                                                            std::span<const UniqueFd> scratch,
                                                            uint32_t budget_threads) {
  POCKET_ASSIGN_OR_RETURN(const engine::Plugin plugin, plugin_for(load.engine));
  std::vector<std::pair<std::string, std::shared_ptr<RunnerModel>>> uses;
  for (const auto& use : load.uses) {
    if (use->load == nullptr) return Error{POCKET_INTERNAL, "a model to use lacks its load"};
    auto used = this->load(*use->load, scratch, budget_threads);
    if (!used.ok()) {
      return std::move(used).error().with_context(fmt::format("it uses model '{}'", use->name));
    }
    uses.emplace_back(use->name, std::move(*used));
  }
  POCKET_RETURN_IF_ERROR(check_readable(load.path));
  auto peers = std::make_unique<Peers>(std::move(uses));
  engine::LoadOptions options;
  options.path = load.path;
  options.threads = load.threads;
  // An engine that cannot be told later gets the threads that the budget of this moment keeps busy.
  if (budget_threads > 0 && !plugin.limits_threads()) {
    options.threads = std::min(options.threads, budget_threads);
  }
  options.concurrency = load.concurrency;
  options.host = peers->host();
  options.rests = true;
  if (load.scratch > 0 && load.scratch <= scratch.size()) {
    options.scratch = scratch[load.scratch - 1].get();
  }
  for (const auto& option : load.options) options.options.emplace_back(option->key, option->value);
  POCKET_ASSIGN_OR_RETURN(engine::Model loaded, engine::Model::load(plugin, options));
  if (!loaded.remark().empty()) spdlog::warn("model '{}': {}", load.label, loaded.remark());
  if (loaded.inputs().size() > wire::kMaxTensors || loaded.outputs().size() > wire::kMaxTensors) {
    return Error{POCKET_UNIMPLEMENTED,
                 fmt::format("the model has {} inputs and {} outputs; Pocket carries up to {} each",
                             loaded.inputs().size(), loaded.outputs().size(), wire::kMaxTensors)};
  }
  auto model = std::make_shared<RunnerModel>(std::move(loaded), load.concurrency, options.threads,
                                             std::move(peers));
  if (load.warmup) {
    if (auto warmed = warm_up(*model); !warmed.ok()) {
      spdlog::warn("warming up '{}': {}", load.label, warmed.error().message);
    }
  }
  model->give_back();  // what the warm-up needed
  MutexLock lock(mutex_);
  std::erase_if(loaded_, [](const auto& entry) { return entry.expired(); });
  loaded_.push_back(model);
  return model;
}

void ModelTable::limit_threads(uint32_t threads) {
  std::vector<std::shared_ptr<RunnerModel>> models;  // the last one to let go must hold no lock
  {
    MutexLock lock(mutex_);
    for (const auto& entry : loaded_) {
      if (auto model = entry.lock()) models.push_back(std::move(model));
    }
  }
  for (const auto& model : models) model->limit_threads(threads);
}

}  // namespace pocket::runner
