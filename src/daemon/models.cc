#include "daemon/models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>

#include "base/clock.h"
#include "base/engine_names.h"
#include "base/nearest.h"
#include "daemon/engine_cache.h"
#include "daemon/model_load.h"
#include "daemon/visible.h"
#include "model/digest.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

constexpr uint64_t kRunnerGraceNs = 5 * kNanosecondsPerSecond;
// Paths that a runner keeps for a later pocketd; with more, other models of its group get another.
constexpr size_t kMostRemembered = 64;

/// After the second crash in a row a model waits 0.5 s, then twice as long each time, up to 30 s.
uint64_t crash_delay_ns(uint32_t crashes) {
  if (crashes < 2) return 0;
  return std::min<uint64_t>(30 * kNanosecondsPerSecond, (kNanosecondsPerSecond / 2)
                                                            << std::min<uint32_t>(crashes - 2, 10));
}

uint64_t seconds_to_ns(double seconds) {
  return static_cast<uint64_t>(seconds * static_cast<double>(kNanosecondsPerSecond));
}

std::vector<control::TensorInfoT> copy_infos(
    const std::vector<std::unique_ptr<control::TensorInfoT>>& from) {
  std::vector<control::TensorInfoT> infos;
  for (const auto& info : from) infos.push_back(*info);
  return infos;
}

}  // namespace

Models::Models(EventLoop& loop, const Config& config, Lending& lending, Survival& survival,
               OnRunnerDeath on_runner_death, ClientOf client_of)
    : loop_(loop),
      config_(config),
      lending_(lending),
      survival_(survival),
      on_runner_death_(std::move(on_runner_death)),
      client_of_(std::move(client_of)),
      repository_(config.models) {}

std::string Models::engine_of(const model::ModelSource& source, const std::string& wanted) const {
  return chosen_engine(source, wanted, config_);
}

/// Before anything is kept under the name of an engine, which may be a client's invention.
Result<void> Models::check_engine(const std::string& engine) const {
  const auto engines = list_engines(config_.engine_dir);
  if (std::find(engines.begin(), engines.end(), engine) != engines.end()) return ok_result();
  const std::vector<std::string_view> known(engines.begin(), engines.end());
  const std::string nearest = nearest_word(engine.substr(0, 64), known);
  return Error{
      POCKET_NOT_FOUND,
      fmt::format("there is no engine '{}' in '{}'{}; engines there: {}", engine.substr(0, 64),
                  config_.engine_dir, nearest.empty() ? "" : "; did you mean '" + nearest + "'?",
                  engines.empty() ? "none" : fmt::format("{}", fmt::join(engines, ", ")))};
}

void Models::open(const std::string& name, const std::string& version, const std::string& engine,
                  Opened opened) {
  auto source = repository_.find(name, version);
  if (!source.ok()) {
    opened(std::move(source).error());
    return;
  }
  // Reading a large model takes a while: not on the loop.
  background_.run(
      [this, source = std::move(*source), engine, opened = std::move(opened)]() mutable {
        auto digest = model::cached_digest(source.folder);
        if (auto uses = model::resolve_uses(repository_, source); !uses.ok() && digest.ok()) {
          digest = std::move(uses).error();
        }
        loop_.post([this, source = std::move(source), engine, opened = std::move(opened),
                    digest = std::move(digest)]() mutable {
          if (!digest.ok()) {
            opened(std::move(digest).error());
          } else if (auto checked = model::check_digest(source, *digest); !checked.ok()) {
            opened(std::move(checked).error());
          } else {
            open_source(std::move(source), engine, *digest, opened);
          }
        });
      });
}

void Models::remember_key(const std::string& name, const std::string& version,
                          const std::string& key) {
  auto& keys = keys_[name + "\n" + version];
  std::erase(keys, key);
  keys.push_back(key);
}

LoadedModel& Models::entry_for(model::ModelSource source, const std::string& engine,
                               const std::string& digest) {
  const std::string key = copy_key(source, engine, digest, config_);
  remember_key(source.name, source.version, key);
  auto& entry = models_[key];
  if (entry == nullptr) {
    entry = std::make_unique<LoadedModel>();
    entry->key = key;
    entry->id = survival_.state.next_model();
    entry->engine = engine;
    entry->digest = digest;
    // Models of one group share a runner, whatever their engines.
    entry->group = source.manifest.group ? "group\n" + *source.manifest.group : key;
  }
  if (entry->state != ModelState::kReady) entry->source = std::move(source);
  return *entry;
}

void Models::open_source(model::ModelSource source, const std::string& engine,
                         const std::string& digest, const Opened& opened) {
  const std::string chosen = engine_of(source, engine);
  if (auto known = check_engine(chosen); !known.ok()) {
    opened(std::move(known).error().with_context(fmt::format("model '{}'", source.name)));
    return;
  }
  for (const auto& use : source.uses) {
    if (auto known = check_engine(engine_of(*use.source, "")); !known.ok()) {
      opened(std::move(known).error().with_context(
          fmt::format("model '{}', which '{}' uses", use.name, source.name)));
      return;
    }
  }
  LoadedModel& model = entry_for(source, chosen, digest);
  model.last_used_ns = monotonic_ns();
  if (model.state == ModelState::kReady) {
    start_idle_timer(model);
    opened(OpenedModel{&model, std::move(source)});
    return;
  }
  if (on_empty_) {
    opened(Error{POCKET_UNAVAILABLE, "the service is shutting down"});
    return;
  }
  if (model.state != ModelState::kLoading && model.not_before_ns > model.last_used_ns) {
    const uint64_t left_ns = model.not_before_ns - model.last_used_ns;
    opened(Error{POCKET_BUSY,
                 fmt::format("model '{}' crashed its runner {} times in a row; it may be opened "
                             "again in {:.1f} s",
                             model.source.name, model.crashes, static_cast<double>(left_ns) / 1e9),
                 left_ns});
    return;
  }
  model.waiters.push_back([opened, source = std::move(source)](Result<LoadedModel*> loaded) {
    if (loaded.ok()) {
      opened(OpenedModel{*loaded, source});
    } else {
      opened(std::move(loaded).error());
    }
  });
  if (model.state != ModelState::kLoading) start_load(model);
}

RunnerFiles Models::files_of(const LoadedModel& model) const {
  RunnerFiles files = files_of_model(model.source, model.engine, config_);
  if (!config_.cache_dir.empty()) {
    files.writable = engine_cache(config_.cache_dir, model.group);
    const bool open_root = !config_.sandbox.wants(sandbox::Protection::kMounts);
    auto made = make_engine_cache(config_.cache_dir, files.writable, open_root);
    if (!made.ok()) spdlog::warn("{}", made.error().message);
  }
  if (!model.source.manifest.group) return files;
  // The others of its group will come into the same runner.
  for (const auto& source : repository_.list(nullptr)) {
    if (source.manifest.group != model.source.manifest.group) continue;
    add_files(files_of_model(source, engine_of(source, ""), config_), files);
  }
  return files;
}

Result<RunnerProcess*> Models::runner_for(const LoadedModel& model) {
  const RunnerFiles needed = files_of_model(model.source, model.engine, config_);
  for (const auto& runner : runners_) {
    // One that was started before this model's folder was there does not see it.
    if (runner.group == model.group && !runner.process->shutting_down() &&
        runner.process->sees(needed)) {
      return runner.process.get();
    }
  }
  if (runners_.size() >= config_.runners) {
    return Error{POCKET_BUSY,
                 fmt::format("{} runners are running, the limit (limits.runners): unload "
                             "a model, or raise it",
                             runners_.size())};
  }
  POCKET_ASSIGN_OR_RETURN(
      auto process,
      RunnerProcess::spawn(
          loop_, config_, {model.engine, files_of(model), lending_.divides_processors()}, survival_,
          [this](RunnerProcess& runner, const std::string& how) { forget_runner(runner, how); }));
  process->watch_refusals(on_refusals_);
  lending_.runner_started(*process);
  runners_.push_back({std::move(process), model.group});
  return runners_.back().process.get();
}

void Models::start_load(LoadedModel& model) {
  auto runner = runner_for(model);
  if (!runner.ok()) {
    model.state = ModelState::kFailed;
    model.error = runner.error().message;
    answer_waiters(model, std::move(runner).error());
    return;
  }
  model.state = ModelState::kLoading;
  model.error.clear();
  model.runner = *runner;
  control::RunnerLoadT load =
      make_load(model.source, model.engine, model.digest, config_,
                config_.cache_dir.empty() ? "" : engine_cache(config_.cache_dir, model.group));
  load.model = model.id;
  load.memo = std::make_unique<control::RunnerMemoT>();
  load.memo->name = model.source.name;
  load.memo->version = model.source.version;
  load.memo->engine = model.engine;
  load.memo->digest = model.digest;
  load.memo->key = model.key;
  load.memo->group = model.group;
  const RunnerFiles& files = model.runner->files();
  if (files.shown.size() <= kMostRemembered) {
    load.memo->shown = files.shown;
    load.memo->engines = files.engines;
  }
  LoadedModel* target = &model;
  model.load_timer = loop_.after(seconds_to_ns(config_.load_timeout_seconds), [this, target] {
    target->load_timer = 0;
    spdlog::error("model '{}' did not load in {} s", target->source.name,
                  config_.load_timeout_seconds);
    if (target->runner != nullptr) target->runner->kill();
  });
  auto scratch = add_scratch(model.source, config_, load);
  model.runner->request(
      std::move(load), std::move(scratch),
      [this, target](Result<control::MessageT> reply) { finish_load(*target, std::move(reply)); });
}

void Models::finish_load(LoadedModel& model, Result<control::MessageT> reply) {
  const bool timed_out = model.load_timer == 0;
  if (!timed_out) loop_.cancel(model.load_timer);
  model.load_timer = 0;
  const control::RunnerLoadedT* loaded = reply.ok() ? reply->body.AsRunnerLoaded() : nullptr;
  if (loaded == nullptr) {
    Error error = reply.ok()
                      ? Error{POCKET_INTERNAL, "the runner gave another answer than asked for"}
                      : std::move(reply).error();
    if (timed_out) {
      error = Error{POCKET_DEADLINE_EXCEEDED,
                    fmt::format("it did not load within {} s (models.load_timeout_seconds)",
                                config_.load_timeout_seconds)};
    }
    error = std::move(error).with_context(
        fmt::format("loading model '{}' version {}", model.source.name, model.source.version));
    spdlog::error("{}", error.message);
    model.state = ModelState::kFailed;
    model.error = error.message;
    if (error.code == POCKET_UNAVAILABLE) {
      model.crashes += 1;
      model.not_before_ns = monotonic_ns() + crash_delay_ns(model.crashes);
    }
    RunnerProcess* runner = std::exchange(model.runner, nullptr);
    const bool shared = std::any_of(models_.begin(), models_.end(), [runner](const auto& entry) {
      return entry.second->runner == runner;
    });
    if (!shared && runner->pid() > 0) runner->shut_down(kRunnerGraceNs);
    answer_waiters(model, error);
    return;
  }
  model.state = ModelState::kReady;
  model.ready_ns = monotonic_ns();
  if (quarantine_.watches(model.key, model.ready_ns)) watch_calls(model);
  model.inputs = copy_infos(loaded->inputs);
  model.outputs = copy_infos(loaded->outputs);
  model.load_ms = loaded->load_ms;
  model.memory_bytes = loaded->memory_bytes;
  spdlog::info("model '{}' version {} ready in runner {} after {:.0f} ms", model.source.name,
               model.source.version, model.runner->pid(), model.load_ms);
  start_idle_timer(model);
  answer_waiters(model, &model);
}

void Models::answer_waiters(LoadedModel& model, const Result<LoadedModel*>& result) {
  auto waiters = std::move(model.waiters);
  model.waiters.clear();
  for (auto& waiter : waiters) waiter(result);
}

void Models::use(LoadedModel& model, int channels) {
  model.channels = static_cast<uint32_t>(static_cast<int>(model.channels) + channels);
  model.last_used_ns = monotonic_ns();
  start_idle_timer(model);
}

uint64_t Models::channels_of(const RunnerProcess& runner) const {
  uint64_t channels = 0;
  for (const auto& [key, model] : models_) {
    if (model->runner == &runner) channels += model->channels;
  }
  return channels;
}

void Models::start_idle_timer(LoadedModel& model) {
  if (model.idle_timer != 0) loop_.cancel(model.idle_timer);
  model.idle_timer = 0;
  const double seconds =
      model.source.manifest.keep_alive_seconds.value_or(config_.keep_alive_seconds);
  if (model.state != ModelState::kReady || model.channels > 0 || seconds == 0) return;
  LoadedModel* target = &model;
  model.idle_timer = loop_.after(seconds_to_ns(seconds), [this, target] {
    target->idle_timer = 0;
    spdlog::info("model '{}' was not used for a while: unloaded", target->source.name);
    release(*target);
  });
}

void Models::release(LoadedModel& model) {
  if (model.idle_timer != 0) loop_.cancel(model.idle_timer);
  model.idle_timer = 0;
  model.state = ModelState::kUnloaded;
  model.watched = false;
  RunnerProcess* runner = std::exchange(model.runner, nullptr);
  const bool shared = std::any_of(models_.begin(), models_.end(), [runner](const auto& entry) {
    return entry.second->runner == runner;
  });
  if (shared) {
    control::RunnerUnloadT unload;
    unload.model = model.id;
    runner->request(std::move(unload), {}, nullptr);
  } else {
    runner->shut_down(kRunnerGraceNs);  // the end of the process gives all its memory back
  }
}

Result<void> Models::unload(const std::string& name, const std::string& version,
                            const std::string& engine) {
  POCKET_ASSIGN_OR_RETURN(const auto source, repository_.find(name, version));
  std::vector<LoadedModel*> copies;
  std::vector<std::string_view> elsewhere;
  const auto opened = keys_.find(source.name + "\n" + source.version);
  const std::span<const std::string> keys =
      opened == keys_.end() ? std::span<const std::string>() : opened->second;
  for (const auto& key : keys) {
    const auto found = models_.find(key);
    if (found == models_.end() || found->second->state != ModelState::kReady) continue;
    if (engine.empty() || found->second->engine == engine) {
      copies.push_back(found->second.get());
    } else {
      elsewhere.push_back(found->second->engine);
    }
  }
  if (copies.empty()) {
    return Error{
        POCKET_NOT_FOUND,
        fmt::format(
            "model '{}' version {} is not loaded{}{}", source.name, source.version,
            engine.empty() ? "" : " in engine '" + engine.substr(0, 64) + "'",
            elsewhere.empty() ? "" : fmt::format(", but in {}", fmt::join(elsewhere, ", ")))};
  }
  for (const LoadedModel* copy : copies) {
    if (copy->channels == 0) continue;
    return Error{POCKET_FAILED_PRECONDITION,
                 fmt::format("model '{}' in engine '{}' is open in {} channels: close them first "
                             "(`pocket service status` shows whose they are)",
                             name, copy->engine, copy->channels)};
  }
  for (LoadedModel* copy : copies) release(*copy);
  return ok_result();
}

void Models::tell_runners(const control::RunnerTenantT& tenant) {
  for (const auto& runner : runners_) runner.process->request(tenant, {}, nullptr);
}

void Models::forget_runner(RunnerProcess& runner, const std::string& how) {
  judge_crash(runner);
  for (auto& [key, model] : models_) {
    if (model->runner != &runner) continue;
    model->runner = nullptr;
    model->watched = false;
    model->state = ModelState::kUnloaded;
    model->error = "its runner " + how;
    if (model->idle_timer != 0) loop_.cancel(model->idle_timer);
    model->idle_timer = 0;
    const uint64_t now = monotonic_ns();
    constexpr uint64_t kStableNs = 10 * kNanosecondsPerSecond;
    model->crashes = now - model->ready_ns > kStableNs ? 1 : model->crashes + 1;
    model->not_before_ns = now + crash_delay_ns(model->crashes);
    model->restarts += 1;
  }
  on_runner_death_(runner, how);
  lending_.runner_ended(runner);
  // The process object is on the stack of its own callback: freed from the loop.
  const auto found = std::find_if(runners_.begin(), runners_.end(), [&runner](const Runner& entry) {
    return entry.process.get() == &runner;
  });
  if (found != runners_.end()) {
    auto keep = std::make_shared<std::unique_ptr<RunnerProcess>>(std::move(found->process));
    runners_.erase(found);
    loop_.post([keep] {});
  }
  if (runners_.empty() && on_empty_) on_empty_();
}

void Models::shut_down(uint64_t grace_ns, std::function<void()> done) {
  on_empty_ = std::move(done);
  if (runners_.empty()) {
    on_empty_();
    return;
  }
  for (auto& runner : runners_) runner.process->shut_down(grace_ns);
}

}  // namespace pocket::daemon
