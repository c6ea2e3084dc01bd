#include "runner/scheduler.h"

#include <algorithm>

namespace pocket::runner {
namespace {

constexpr size_t kMostSpareCalls = 64;

}  // namespace

std::unique_ptr<Call> Scheduler::push(std::unique_ptr<Call> call) {
  const uint32_t channel = call->channel->id();
  std::lock_guard lock(mutex_);
  // A channel is closed first and its calls are removed then, under this lock.
  if (call->channel->closed()) return call;
  auto& queue = queues_[channel];
  if (queue.empty()) turns_.push_back(channel);
  queue.push_back(std::move(call));
  ++size_;
  return nullptr;
}

std::unique_ptr<Call> Scheduler::pop() {
  std::lock_guard lock(mutex_);
  if (turns_.empty()) return nullptr;
  const uint32_t channel = turns_.front();
  turns_.pop_front();
  const auto found = queues_.find(channel);
  std::unique_ptr<Call> call = std::move(found->second.front());
  found->second.pop_front();
  --size_;
  if (!found->second.empty()) turns_.push_back(channel);
  return call;
}

std::unique_ptr<Call> Scheduler::remove(uint32_t channel, uint64_t call_id) {
  std::lock_guard lock(mutex_);
  const auto queue = queues_.find(channel);
  if (queue == queues_.end()) return nullptr;
  const auto found =
      std::find_if(queue->second.begin(), queue->second.end(),
                   [&](const auto& call) { return call->submission.call_id == call_id; });
  if (found == queue->second.end()) return nullptr;
  std::unique_ptr<Call> call = std::move(*found);
  queue->second.erase(found);
  --size_;
  if (queue->second.empty()) std::erase(turns_, channel);
  return call;
}

std::vector<std::unique_ptr<Call>> Scheduler::remove_channel(uint32_t channel) {
  std::vector<std::unique_ptr<Call>> calls;
  std::lock_guard lock(mutex_);
  const auto queue = queues_.find(channel);
  if (queue == queues_.end()) return calls;
  for (auto& call : queue->second) calls.push_back(std::move(call));
  size_ -= calls.size();
  std::erase(turns_, channel);
  queues_.erase(queue);
  return calls;
}

size_t Scheduler::size() const {
  std::lock_guard lock(mutex_);
  return size_;
}

std::unique_ptr<Call> Scheduler::fresh_call() {
  std::lock_guard lock(mutex_);
  if (spare_.empty()) return std::make_unique<Call>();
  std::unique_ptr<Call> call = std::move(spare_.back());
  spare_.pop_back();
  return call;
}

void Scheduler::recycle(std::unique_ptr<Call> call) {
  call->channel.reset();
  call->cancelled.store(false);
  std::lock_guard lock(mutex_);
  if (spare_.size() < kMostSpareCalls) spare_.push_back(std::move(call));
}

}  // namespace pocket::runner
