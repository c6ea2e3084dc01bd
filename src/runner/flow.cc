#include "runner/flow.h"

#include <algorithm>

#include "runner/channel.h"

namespace pocket::runner {

void FlowStats::add(const FlowStats& other) {
  calls += other.calls;
  errors += other.errors;
  refused += other.refused;
  expired += other.expired;
  cpu_ns += other.cpu_ns;
  queue_ns += other.queue_ns;
  compute_ns += other.compute_ns;
  if (other.times == nullptr) return;
  if (times == nullptr) times = std::make_unique<CallTimes>();
  times->queue.add(other.times->queue);
  times->compute.add(other.times->compute);
}

Flow::Flow(std::shared_ptr<Flow> parent, uint32_t weight)
    : parent_(std::move(parent)), weight_(std::max<uint32_t>(weight, 1)) {}

Flow::~Flow() = default;

void Flow::enter() {
  auto& line = parent_->waiting_;
  const auto place =
      std::upper_bound(line.begin(), line.end(), this, [](const Flow* one, const Flow* other) {
        return one->priority_ != other->priority_ ? one->priority_ > other->priority_
                                                  : one->start_ < other->start_;
      });
  line.insert(place, this);
  waits_ = true;
}

void Flow::leave() {
  auto& line = parent_->waiting_;
  line.erase(std::find(line.begin(), line.end(), this));
  waits_ = false;
}

void Flow::set_place(uint32_t weight, uint32_t priority) {
  weight_ = std::max<uint32_t>(weight, 1);
  if (priority == priority_) return;
  const bool waits = waits_;
  if (waits) leave();
  priority_ = priority;
  if (waits) enter();
}

void Flow::move() {
  const double start = std::max(came_, finish_);
  if (start == start_) return;
  leave();
  start_ = start;
  enter();
}

void Flow::count_waiting(int calls) {
  for (Flow* flow = this; flow != nullptr; flow = flow->parent()) {
    flow->waiting_calls_ = static_cast<uint32_t>(static_cast<int>(flow->waiting_calls_) + calls);
    if (flow->parent_ == nullptr) return;
    if (!flow->waits_ && flow->waiting_calls_ > 0) {
      flow->came_ = flow->parent_->clock_;
      flow->start_ = std::max(flow->came_, flow->finish_);
      flow->enter();
    } else if (flow->waits_ && flow->waiting_calls_ == 0) {
      flow->leave();
    }
  }
}

void Flow::push(std::unique_ptr<Call> call) {
  calls_.push_back(std::move(call));
  count_waiting(+1);
}

std::unique_ptr<Call> Flow::remove(size_t index) {
  const auto place = calls_.begin() + static_cast<std::ptrdiff_t>(index);
  std::unique_ptr<Call> call = std::move(*place);
  calls_.erase(place);
  count_waiting(-1);
  return call;
}

void Flow::charge(double start_ns, double cost_ns) {
  parent_->clock_ = std::max(parent_->clock_, start_ns);
  finish_ = start_ns + cost_ns * kUsualWeight / weight_;
}

std::unique_ptr<Call> Flow::serve(double cost_ns) {
  for (Flow* flow = this; flow->parent_ != nullptr; flow = flow->parent()) {
    flow->running_calls_ += 1;
    flow->charge(flow->start_, cost_ns);
    flow->move();
  }
  return remove(0);
}

void Flow::serve_at_once(double cost_ns) {
  for (Flow* flow = this; flow->parent_ != nullptr; flow = flow->parent()) {
    flow->running_calls_ += 1;
    flow->charge(std::max(flow->parent_->clock_, flow->finish_), cost_ns);
  }
}

void Flow::ended(double extra_ns) {
  for (Flow* flow = this; flow->parent_ != nullptr; flow = flow->parent()) {
    flow->running_calls_ -= 1;
    flow->finish_ += extra_ns * kUsualWeight / flow->weight_;
    if (flow->waits_) flow->move();
  }
}

bool Flow::is_behind(const Flow& other, double extra_ns) const {
  const Flow* mine = this;
  const Flow* its = &other;
  while (mine->parent() != its->parent()) {
    mine = mine->parent();
    its = its->parent();
  }
  if (mine->priority_ != its->priority_) return mine->priority_ > its->priority_;
  return mine->finish_ <= its->finish_ + extra_ns * kUsualWeight / its->weight_;
}

}  // namespace pocket::runner
