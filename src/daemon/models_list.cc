// What the service tells about its models and runners.
#include <algorithm>

#include "base/clock.h"
#include "daemon/models.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

const char* state_name(ModelState state) {
  switch (state) {
    case ModelState::kUnloaded:
      return "unloaded";
    case ModelState::kLoading:
      return "loading";
    case ModelState::kReady:
      return "ready";
    case ModelState::kFailed:
      return "failed";
  }
  return "unknown";
}

std::vector<std::unique_ptr<control::TensorInfoT>> share_infos(
    const std::vector<control::TensorInfoT>& from) {
  std::vector<std::unique_ptr<control::TensorInfoT>> infos;
  for (const auto& info : from) infos.push_back(std::make_unique<control::TensorInfoT>(info));
  return infos;
}

void fill_loaded(const LoadedModel& model, control::ModelEntryT& entry) {
  entry.engine = model.engine;
  entry.digest = model.digest;
  entry.state = state_name(model.state);
  entry.error = model.error;
  entry.runner_pid = model.runner == nullptr ? 0 : model.runner->pid();
  entry.load_ms = model.load_ms;
  entry.memory_bytes = model.state == ModelState::kReady ? model.memory_bytes : 0;
  entry.channels = model.channels;
  entry.inputs = share_infos(model.inputs);
  entry.outputs = share_infos(model.outputs);
  entry.idle_seconds = static_cast<double>(monotonic_ns() - model.last_used_ns) / 1e9;
}

}  // namespace

std::vector<control::ModelEntryT> Models::list(const Shown& shown) const {
  std::vector<control::ModelEntryT> entries;
  std::vector<Error> problems;
  for (const auto& source : repository_.list(shown ? nullptr : &problems)) {
    if (shown && !shown(source)) continue;
    control::ModelEntryT entry;
    entry.name = source.name;
    entry.version = source.version;
    entry.path = source.path;
    entry.engine = engine_of(source, "");
    entry.state = "unloaded";
    entry.file_bytes = source.file_bytes;
    const auto key = keys_.find(source.name + "\n" + source.version);
    if (key != keys_.end()) {
      if (const auto found = models_.find(key->second.back()); found != models_.end()) {
        fill_loaded(*found->second, entry);
      }
    }
    entries.push_back(std::move(entry));
  }
  for (const auto& problem : problems) {
    control::ModelEntryT entry;
    entry.name = "?";
    entry.state = "failed";
    entry.error = problem.message;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<control::RunnerEntryT> Models::list_runners() const {
  std::vector<control::RunnerEntryT> entries;
  for (const auto& runner : runners_) {
    control::RunnerEntryT entry;
    entry.pid = runner.process->pid();
    entry.engine = runner.process->engine();
    entry.memory_bytes = runner.process->memory_bytes();
    for (const auto& [key, model] : models_) {
      if (model->runner != runner.process.get()) continue;
      entry.models.push_back(model->source.name);
      entry.restarts = std::max(entry.restarts, model->restarts);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace pocket::daemon
