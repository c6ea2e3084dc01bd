// Asking the runners what their calls came to.
#include "base/clock.h"
#include "daemon/models.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

// A runner answers from a thread of its own, within a millisecond: one that does not is stopped.
constexpr uint64_t kPatienceNs = kNanosecondsPerSecond;

struct Gathering {
  std::vector<RunnerUsage> answers;
  size_t missing = 0;
  EventLoop::TimerId timer = 0;
  std::function<void(std::vector<RunnerUsage>)> done;
};

}  // namespace

void Models::gather_usage(const std::vector<uint64_t>& sessions,
                          std::function<void(std::vector<RunnerUsage>)> done) {
  auto gathering = std::make_shared<Gathering>();
  gathering->done = std::move(done);
  const auto finish = [this, gathering] {
    if (gathering->timer != 0) loop_.cancel(gathering->timer);
    gathering->timer = 0;
    if (auto tell = std::exchange(gathering->done, nullptr)) tell(std::move(gathering->answers));
  };
  gathering->missing = runners_.size();
  if (runners_.empty()) {
    finish();
    return;
  }
  gathering->timer = loop_.after(kPatienceNs, [gathering, finish] {
    gathering->timer = 0;
    finish();
  });
  for (const auto& runner : runners_) {
    gathering->answers.push_back({runner.process->pid(), runner.process->engine(), false, {}});
  }
  for (size_t index = 0; index < gathering->answers.size(); ++index) {
    control::RunnerGetStatsT ask;
    ask.sessions = sessions;
    runners_[index].process->request(
        std::move(ask), {}, [gathering, finish, index](Result<control::MessageT> reply) {
          auto* stats = reply.ok() ? reply->body.AsRunnerStats() : nullptr;
          if (stats != nullptr && gathering->done != nullptr) {
            gathering->answers[index].answered = true;
            gathering->answers[index].stats = std::move(*stats);
          }
          if (--gathering->missing == 0) finish();
        });
  }
}

const LoadedModel* Models::loaded(uint32_t id) const {
  for (const auto& [key, model] : models_) {
    if (model->id == id && model->runner != nullptr) return model.get();
  }
  return nullptr;
}

std::vector<const LoadedModel*> Models::all_loaded() const {
  std::vector<const LoadedModel*> loaded;
  for (const auto& [key, model] : models_) {
    if (model->state == ModelState::kReady) loaded.push_back(model.get());
  }
  return loaded;
}

}  // namespace pocket::daemon
