// Taking over runners that an earlier pocketd left: they say what they have loaded and whose
// channels they serve.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/clock.h"
#include "daemon/models.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

// A runner answers from a thread of its own within milliseconds, whatever its models do.
constexpr uint64_t kPatienceNs = 5 * kNanosecondsPerSecond;
constexpr uint64_t kGraceNs = 5 * kNanosecondsPerSecond;

/// The runners of which something was handed over.
std::set<uint32_t> numbers_in(const std::vector<std::string>& names) {
  std::set<uint32_t> numbers;
  for (const std::string& name : names) {
    constexpr std::string_view kPrefix = "runner-";
    if (!name.starts_with(kPrefix)) continue;
    uint32_t number = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-') numbers.insert(number);
  }
  return numbers;
}

std::vector<control::TensorInfoT> copy_infos(
    const std::vector<std::unique_ptr<control::TensorInfoT>>& from) {
  std::vector<control::TensorInfoT> infos;
  for (const auto& info : from) infos.push_back(*info);
  return infos;
}

}  // namespace

/// What is being taken over at this moment.
struct Models::Adoption {
  std::set<RunnerProcess*> waiting;  // for what they say
  std::vector<AdoptedChannel> channels;
  EventLoop::TimerId timer = 0;
  Adopted done;
};

Models::Runner* Models::find_runner(const RunnerProcess* process) {
  const auto found = std::ranges::find_if(
      runners_, [&](const Runner& entry) { return entry.process.get() == process; });
  return found == runners_.end() ? nullptr : &*found;
}

void Models::adopt(Adopted adopted) {
  restore_quarantine();
  auto adoption = std::make_shared<Adoption>();
  adoption->done = std::move(adopted);
  for (const uint32_t number : numbers_in(survival_.keeper.left())) {
    auto process = RunnerProcess::adopt(
        loop_, number, survival_,
        [this](RunnerProcess& runner, const std::string& how) { forget_runner(runner, how); });
    if (!process.ok()) {
      spdlog::warn("taking a runner over: {}", process.error().message);
      continue;
    }
    (*process)->watch_refusals(on_refusals_);
    (*process)->ask_refusals();
    adoption->waiting.insert(process->get());
    runners_.push_back({std::move(*process), ""});
  }
  if (adoption->waiting.empty()) {
    adoption->done({});
    return;
  }
  adoption->timer = loop_.after(kPatienceNs, [adoption] {
    adoption->timer = 0;
    for (RunnerProcess* runner : adoption->waiting) {
      spdlog::warn("runner {} does not say what it has: killed", runner->pid());
      runner->kill();
    }
  });
  const auto all = adoption->waiting;
  for (RunnerProcess* runner : all) describe(adoption, *runner, 0, 0);
}

void Models::describe(const std::shared_ptr<Adoption>& adoption, RunnerProcess& runner,
                      uint32_t after_model, uint32_t after_channel) {
  control::RunnerDescribeT wanted;
  wanted.after_model = after_model;
  wanted.after_channel = after_channel;
  RunnerProcess* process = &runner;
  runner.request(wanted, {}, [this, adoption, process](Result<control::MessageT> reply) {
    const auto* description = reply.ok() ? reply->body.AsRunnerDescription() : nullptr;
    const bool adopted = description != nullptr && take_in(*adoption, *process, *description);
    if (adopted && description->more) {
      const auto last_of = [](const auto& list, auto member) {
        return list.empty() ? UINT32_MAX : (*list.back()).*member;
      };
      describe(adoption, *process,
               last_of(description->models, &control::RunnerLoadedModelT::model),
               last_of(description->channels, &control::RunnerChannelT::channel));
      return;
    }
    adoption->waiting.erase(process);
    if (adopted) process->unload_others();
    if (!adopted && reply.ok()) process->shut_down(kGraceNs);
    if (!adopted) {
      std::erase_if(adoption->channels,
                    [process](const AdoptedChannel& entry) { return entry.runner == process; });
    }
    if (!adoption->waiting.empty()) return;
    if (adoption->timer != 0) loop_.cancel(adoption->timer);
    // Not from here: a runner that has just died is forgotten first.
    loop_.post([this, adoption] {
      std::erase_if(adoption->channels, [this](const AdoptedChannel& entry) {
        return find_runner(entry.runner) == nullptr;
      });
      adoption->done(std::move(adoption->channels));
    });
  });
}

/// False: it is to be ended.
bool Models::take_in(Adoption& adoption, RunnerProcess& runner,
                     const control::RunnerDescriptionT& description) {
  if (description.version != POCKET_VERSION_TEXT) {
    spdlog::warn(
        "runner {} is of version {}, this is {}: it is ended, and its models are loaded "
        "again",
        runner.pid(), description.version, POCKET_VERSION_TEXT);
    return false;
  }
  const bool first = runner.engine().empty();
  runner.set_engine(description.engine);
  for (const auto& loaded : description.models) restore(runner, *loaded);
  const bool any = std::ranges::any_of(
      models_, [&](const auto& entry) { return entry.second->runner == &runner; });
  if (!any) return false;  // what it loads at this moment is asked for anew
  if (first) lending_.runner_adopted(runner);
  for (const auto& channel : description.channels) {
    AdoptedChannel entry;
    entry.runner = &runner;
    entry.what = *channel;
    const auto model = std::ranges::find_if(models_, [&](const auto& known) {
      return known.second->runner == &runner && known.second->id == channel->model;
    });
    if (model != models_.end()) entry.model = model->second.get();
    adoption.channels.push_back(std::move(entry));
  }
  return true;
}

void Models::restore(RunnerProcess& runner, const control::RunnerLoadedModelT& loaded) {
  if (loaded.memo == nullptr) {
    runner.unload_later(loaded.model);
    return;
  }
  const control::RunnerMemoT& memo = *loaded.memo;
  auto& entry = models_[memo.key];
  if (entry != nullptr && entry->runner != nullptr) {  // another runner has it as well
    runner.unload_later(loaded.model);
    return;
  }
  runner.keep_model(loaded.model);
  entry = std::make_unique<LoadedModel>();
  entry->key = memo.key;
  entry->id = loaded.model;
  entry->engine = memo.engine;
  entry->digest = memo.digest;
  entry->group = memo.group;
  entry->state = ModelState::kReady;
  entry->runner = &runner;
  entry->inputs = copy_infos(loaded.inputs);
  entry->outputs = copy_infos(loaded.outputs);
  entry->load_ms = loaded.load_ms;
  entry->memory_bytes = loaded.memory_bytes;
  entry->ready_ns = entry->last_used_ns = monotonic_ns();
  auto source = repository_.find(memo.name, memo.version);
  if (source.ok()) {
    entry->source = std::move(*source);
  } else {  // taken out of the repository meanwhile; who has it open goes on
    entry->source.name = memo.name;
    entry->source.version = memo.version;
    entry->source.path = loaded.path;
  }
  remember_key(memo.name, memo.version, memo.key);
  watch_calls(*entry);  // what it is to refuse may have changed
  if (entry->watched) end_watch_later(entry->key);
  if (Runner* known = find_runner(&runner)) known->group = memo.group;
  if (!memo.shown.empty()) runner.set_files({memo.engines, memo.shown, ""});
  start_idle_timer(*entry);
  spdlog::info("model '{}' version {} is ready in runner {}, which was taken over", memo.name,
               memo.version, runner.pid());
}

}  // namespace pocket::daemon
