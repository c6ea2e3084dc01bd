#include "runner/scheduler.h"

#include <algorithm>

#include "base/clock.h"

namespace pocket::runner {
namespace {

constexpr size_t kMostSpareCalls = 64;

uint32_t most_at_once(const RunnerModel& model) {
  return std::max(model.threads(), model.concurrency());
}

}  // namespace

std::unique_ptr<Call> Scheduler::push(std::unique_ptr<Call> call) {
  const uint32_t channel = call->channel->id();
  MutexLock lock(mutex_);
  // A channel is closed first and its calls are removed then, under this lock.
  if (call->channel->closed()) return call;
  auto& queue = queues_[channel];
  if (queue.empty()) turns_.push_back(channel);
  turns_of(*call).waiting += 1;
  queue.push_back(std::move(call));
  ++size_;
  return nullptr;
}

ModelTurns& Scheduler::turns_of(const Call& call) const {
  return call.channel->has_model() ? call.channel->model().turns : no_model_;
}

bool Scheduler::may_start(const Call& call, uint32_t threads, uint64_t now_ns) const {
  if (threads == 0 || !call.channel->has_model()) return true;
  ModelTurns& turns = turns_of(call);
  const uint32_t most = std::min(threads, most_at_once(call.channel->model()));
  if (turns.overlap.may_start(turns.running, turns.waiting, most, turns.starts)) return true;
  return now_ns - turns.started_ns > turns.overlap.patience_ns();
}

std::deque<uint32_t>::const_iterator Scheduler::next(uint32_t threads) const {
  const uint64_t now_ns = monotonic_ns();
  auto turn = turns_.begin();
  while (turn != turns_.end() && !may_start(*queues_.at(*turn).front(), threads, now_ns)) ++turn;
  return turn;
}

std::unique_ptr<Call> Scheduler::pop(uint32_t threads) {
  MutexLock lock(mutex_);
  const auto turn = next(threads);
  if (turn == turns_.end()) return nullptr;
  const uint32_t channel = *turn;
  turns_.erase(turn);
  const auto found = queues_.find(channel);
  std::unique_ptr<Call> call = std::move(found->second.front());
  found->second.pop_front();
  --size_;
  if (!found->second.empty()) turns_.push_back(channel);
  ModelTurns& turns = turns_of(*call);
  turns.waiting -= 1;
  turns.running += 1;
  turns.started_ns = monotonic_ns();
  call->started_alone = turns.running == 1;
  call->start_number = ++turns.starts;
  return call;
}

bool Scheduler::ready(uint32_t threads) const {
  MutexLock lock(mutex_);
  return next(threads) != turns_.end();
}

void Scheduler::ended(const Call& call, uint64_t compute_ns, uint32_t threads) {
  MutexLock lock(mutex_);
  ModelTurns& turns = turns_of(call);
  turns.running -= 1;
  // What one thread takes says nothing of whether to share several.
  if (!call.channel->has_model() || compute_ns == 0) return;
  if (std::min(threads, most_at_once(call.channel->model())) < 2) return;
  turns.overlap.ended(compute_ns, call.started_alone && turns.starts == call.start_number);
}

int Scheduler::patience_ms() const {
  MutexLock lock(mutex_);
  uint64_t least = UINT64_MAX;
  for (const uint32_t channel : turns_) {
    least = std::min(least, turns_of(*queues_.at(channel).front()).overlap.patience_ns());
  }
  return least == UINT64_MAX ? -1 : static_cast<int>(least / 1'000'000) + 1;
}

std::unique_ptr<Call> Scheduler::remove(uint32_t channel, uint64_t call_id) {
  MutexLock lock(mutex_);
  const auto queue = queues_.find(channel);
  if (queue == queues_.end()) return nullptr;
  const auto found =
      std::find_if(queue->second.begin(), queue->second.end(),
                   [&](const auto& call) { return call->submission.call_id == call_id; });
  if (found == queue->second.end()) return nullptr;
  std::unique_ptr<Call> call = std::move(*found);
  queue->second.erase(found);
  --size_;
  turns_of(*call).waiting -= 1;
  if (queue->second.empty()) std::erase(turns_, channel);
  return call;
}

std::vector<std::unique_ptr<Call>> Scheduler::remove_channel(uint32_t channel) {
  std::vector<std::unique_ptr<Call>> calls;
  MutexLock lock(mutex_);
  const auto queue = queues_.find(channel);
  if (queue == queues_.end()) return calls;
  for (auto& call : queue->second) {
    turns_of(*call).waiting -= 1;
    calls.push_back(std::move(call));
  }
  size_ -= calls.size();
  std::erase(turns_, channel);
  queues_.erase(queue);
  return calls;
}

size_t Scheduler::size() const {
  MutexLock lock(mutex_);
  return size_;
}

std::unique_ptr<Call> Scheduler::fresh_call() {
  MutexLock lock(mutex_);
  if (spare_.empty()) return std::make_unique<Call>();
  std::unique_ptr<Call> call = std::move(spare_.back());
  spare_.pop_back();
  return call;
}

void Scheduler::recycle(std::unique_ptr<Call> call) {
  call->channel.reset();
  call->cancelled.store(false);
  MutexLock lock(mutex_);
  if (spare_.size() < kMostSpareCalls) spare_.push_back(std::move(call));
}

}  // namespace pocket::runner
