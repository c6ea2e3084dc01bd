#include "runner/scheduler.h"

#include <algorithm>

#include "base/clock.h"

namespace pocket::runner {
namespace {

constexpr size_t kMostSpareCalls = 64;
// A call may start beyond the limit when one that runs takes so many times longer.
constexpr uint64_t kMuchLonger = 4;
// ... and so many times where clients with more waiting hold everything. Beside calls of its own
// length it takes twice as long; waiting for one of them is no worse and mostly better.
constexpr uint64_t kLonger = 2;

uint32_t most_at_once(const RunnerModel& model) {
  return std::max(model.threads(), model.concurrency());
}

Flow& client_of(const Call& call) { return *call.channel->flow->parent(); }

// The last call object a thread used, so that a lone call takes no lock for it.
thread_local std::unique_ptr<Call> thread_spare;

}  // namespace

Scheduler::Scheduler(uint64_t (*now)())
    : now_(now == nullptr ? monotonic_ns : now), root_(std::make_shared<Flow>()) {
  running_.reserve(64);
}

std::shared_ptr<Tenant> Scheduler::tenant(uint32_t number) {
  auto& tenant = tenants_[number];
  if (tenant == nullptr) tenant = std::make_shared<Tenant>(std::make_shared<Flow>(root_));
  return tenant;
}

void Scheduler::set_rules(uint32_t number, TenantRules rules) {
  MutexLock lock(mutex_);
  const auto known = tenant(number);
  const bool changes = known->rules().lent_weights != rules.lent_weights;
  const bool lent = rules.lent_weights;
  known->set_rules(std::move(rules));
  if (!changes) return;
  for (const auto& [key, client] : clients_) {
    const auto flow = client.lock();
    if (key.first == number && flow) flow->set_place(lent ? kLeastWeight : Flow::kUsualWeight, 0);
  }
}

/// Where weights are lent: each client weighs the thousandths of a processor
/// that it lent last, a tenant what its clients do, at most a second late.
void Scheduler::weigh(Channel& channel, uint64_t now_ns) {
  constexpr uint64_t kLate = 1'000'000'000;
  if (const uint32_t lent = channel.lent_cpu(); lent > 0) {
    channel.flow->parent()->set_place(std::max(lent, kLeastWeight), 0);
  }
  Tenant& owner = *channel.tenant;
  if (owner.weighed_ns != 0 && now_ns - std::min(now_ns, owner.weighed_ns) < kLate) return;
  owner.weighed_ns = now_ns;
  uint64_t sum = 0;
  for (const auto& [key, client] : clients_) {
    if (key.first != channel.parts().tenant) continue;
    if (const auto flow = client.lock()) sum += flow->weight();
  }
  owner.set_lent_weight(static_cast<uint32_t>(std::clamp<uint64_t>(sum, kLeastWeight, 1u << 30)));
}

void Scheduler::add(Channel& channel) {
  const Channel::Parts& parts = channel.parts();
  MutexLock lock(mutex_);
  channel.tenant = tenant(parts.tenant);
  std::erase_if(clients_, [](const auto& entry) { return entry.second.expired(); });
  auto& entry = clients_[{parts.tenant, parts.session}];
  auto client = entry.lock();
  if (client == nullptr) {
    // Not make_shared: what is in the table must not keep the memory of who has gone.
    const bool lent = channel.tenant->rules().lent_weights;
    client.reset(new Flow(channel.tenant->flow(), lent ? kLeastWeight : Flow::kUsualWeight));
    entry = client;
  }
  channel.flow = std::make_shared<Flow>(std::move(client));
  auto& tally = tallies_[{parts.tenant, parts.model_number}];
  if (tally == nullptr) tally = std::make_shared<FlowStats>();
  channel.tally = tally;
}

void Scheduler::forget_model(uint32_t model) {
  MutexLock lock(mutex_);
  std::erase_if(tallies_, [&](const auto& entry) { return entry.first.second == model; });
}

std::pair<uint32_t, uint32_t> Scheduler::in_flight(const Channel& channel) const {
  MutexLock lock(mutex_);
  return {channel.flow->waiting_calls(), channel.flow->running_calls()};
}

ModelTurns& Scheduler::turns_of(const Call& call) const {
  return call.channel->has_model() ? call.channel->model().turns : no_model_;
}

Scheduler::Taken Scheduler::take_in(std::unique_ptr<Call>& call, uint32_t threads, bool at_once,
                                    Refusal& refusal) {
  Channel& channel = *call->channel;
  MutexLock lock(mutex_);
  // A channel is closed first and its calls are removed then, under this lock.
  if (channel.closed()) return Taken::kGone;
  if (channel.tenant->rules().lent_weights) weigh(channel, call->seen_ns);
  ModelTurns& turns = turns_of(*call);
  if (auto refused = channel.tenant->admit(call->seen_ns, size_.load(), client_of(*call),
                                           turns.compute_ns.value())) {
    refusal = std::move(*refused);
    client_of(*call).stats.refused += 1;
    client_of(*call).parent()->stats.refused += 1;
    turns.stats.refused += 1;
    channel.tally->refused += 1;
    channel.flow->stats.refused += 1;
    return Taken::kRefused;
  }
  if (at_once && size_.load() == 0 && may_start(*call, threads)) {
    started(*call, threads);
    channel.flow->serve_at_once(call->charged_ns);
    return Taken::kStarts;
  }
  if (turns.waiting++ == 0) models_waiting_ += 1;
  channel.flow->push(std::move(call));
  ++size_;
  return Taken::kQueued;
}

bool Scheduler::may_overlap(const Call& call, uint32_t threads) const {
  if (!call.channel->has_model()) return true;
  ModelTurns& turns = turns_of(call);
  const uint32_t most = std::min(threads, most_at_once(call.channel->model()));
  // A call that is not queued waits all the same.
  const uint32_t waiting = std::max<uint32_t>(turns.waiting, 1);
  if (turns.overlap.may_start(turns.running, waiting, most, turns.starts)) return true;
  return now_() - turns.started_ns > turns.overlap.patience_ns();
}

bool Scheduler::may_start(const Call& call, uint32_t threads) const {
  if (threads == 0) return true;
  if (running_.size() - slipped_in_ < threads) return may_overlap(call, threads);
  return slipped_in_ == 0 && may_slip_in(call);
}

/// What a call is expected to take; 0 while nobody knows.
uint64_t Scheduler::expected_ns(const Call& call) const {
  return static_cast<uint64_t>(turns_of(call).compute_ns.value());
}

/// Everything that may run does. One more starts where waiting would be out of proportion: a short
/// call behind much longer ones of other models, or the only call of a client behind clients that
/// have more waiting. The processor then divides its time, which the longer ones hardly feel. Only
/// for who was served no more than those that run: nobody gets a second helping that way.
bool Scheduler::may_slip_in(const Call& call) const {
  const ModelTurns& turns = turns_of(call);
  const Flow& client = client_of(call);
  const uint64_t expected = expected_ns(call);
  const uint64_t now = now_();
  bool much_longer = turns.running == 0;
  bool all_flood = client.running_calls() == 0 && client.waiting_calls() <= 1;
  for (const Call* other : running_) {
    const uint64_t elapsed = now - std::min(now, other->started_ns);
    const double extra = std::max(0.0, static_cast<double>(elapsed) - other->charged_ns);
    if (!call.channel->flow->is_behind(*other->channel->flow, extra)) return false;
    const uint64_t takes = std::max(expected_ns(*other), elapsed);
    much_longer = much_longer && takes / kMuchLonger >= expected;
    all_flood = all_flood && takes / kLonger >= expected && client_of(*other).waiting_calls() > 0;
  }
  return much_longer || all_flood;
}

Flow* Scheduler::next(uint32_t threads) const {
  if (threads > 0 && running_.size() - slipped_in_ >= threads && slipped_in_ > 0) return nullptr;
  // A model that may not start one call starts none, whoever's: once all of them are refused there
  // is nothing to find. (When slipping in, who asks matters too.)
  const bool full = threads > 0 && running_.size() - slipped_in_ >= threads;
  refused_.clear();
  for (Flow* tenant : root_->waiting()) {
    for (Flow* client : tenant->waiting()) {
      for (Flow* channel : client->waiting()) {
        const Call& call = *channel->calls().front();
        const ModelTurns* turns = &turns_of(call);
        if (std::find(refused_.begin(), refused_.end(), turns) != refused_.end()) continue;
        if (may_start(call, threads)) return channel;
        if (full) continue;
        refused_.push_back(turns);
        if (refused_.size() >= models_waiting_) return nullptr;
      }
    }
  }
  return nullptr;
}

void Scheduler::started(Call& call, uint32_t threads) {
  ModelTurns& turns = turns_of(call);
  turns.running += 1;
  turns.started_ns = call.seen_ns;  // or a little later, which does not matter here
  call.started_ns = call.seen_ns;
  call.started_alone = turns.running == 1;
  call.start_number = ++turns.starts;
  call.charged_ns = turns.cpu_ns.value();
  call.expected_ns = expected_ns(call);
  call.slipped_in = threads > 0 && running_.size() - slipped_in_ >= threads;
  call.left_alone = false;
  if (call.slipped_in) slipped_in_ += 1;
  running_.push_back(&call);
}

std::unique_ptr<Call> Scheduler::pop(uint32_t threads, bool* more) {
  if (size() == 0) return nullptr;
  MutexLock lock(mutex_);
  Flow* channel = next(threads);
  if (channel == nullptr) return nullptr;
  Call& call = *channel->calls().front();
  ModelTurns& turns = turns_of(call);
  if (--turns.waiting == 0) models_waiting_ -= 1;
  started(call, threads);
  call.started_ns = now_();
  std::unique_ptr<Call> served = channel->serve(call.charged_ns);
  --size_;
  if (more != nullptr) *more = size_.load() > 0 && next(threads) != nullptr;
  return served;
}

bool Scheduler::ready(uint32_t threads) const {
  if (size() == 0) return false;
  MutexLock lock(mutex_);
  return next(threads) != nullptr;
}

bool Scheduler::ended(const Call& call, const Usage& usage, uint32_t threads) {
  MutexLock lock(mutex_);
  ModelTurns& turns = turns_of(call);
  turns.running -= 1;
  running_.erase(std::find(running_.begin(), running_.end(), &call));
  if (call.slipped_in) slipped_in_ -= 1;
  call.channel->flow->ended(static_cast<double>(usage.cpu_ns) - call.charged_ns);
  call.channel->tenant->used(static_cast<double>(usage.cpu_ns));
  if (usage.compute_ns > 0) {
    turns.cpu_ns.add(usage.cpu_ns);
    turns.compute_ns.add(usage.compute_ns);
    // What one thread takes says nothing of whether to share several.
    if (call.channel->has_model() && std::min(threads, most_at_once(call.channel->model())) >= 2) {
      turns.overlap.ended(usage.compute_ns,
                          call.started_alone && turns.starts == call.start_number);
    }
  }
  return !call.left_alone;
}

void Scheduler::record(const Call& call, const Usage& usage) {
  MutexLock lock(mutex_);
  Flow& client = client_of(call);
  FlowStats* const tally = call.channel->tally.get();
  FlowStats* const own = &call.channel->flow->stats;
  for (FlowStats* stats :
       {&client.stats, &client.parent()->stats, &turns_of(call).stats, tally, own}) {
    stats->calls += 1;
    stats->errors += usage.status == POCKET_OK ? 0 : 1;
    stats->expired += usage.compute_ns == 0 && usage.status == POCKET_DEADLINE_EXCEEDED ? 1 : 0;
    stats->cpu_ns += usage.cpu_ns;
    stats->queue_ns += usage.queue_ns;
    stats->compute_ns += usage.compute_ns;
  }
  for (FlowStats* stats : {tally, own}) {
    // Who has a tenant is told of its tenant's calls, not of one channel's.
    if (stats == own && call.channel->parts().tenant != 0) continue;
    if (stats->times == nullptr) stats->times = std::make_unique<CallTimes>();
    stats->times->queue.add(usage.queue_ns);
    if (usage.compute_ns > 0) stats->times->compute.add(usage.compute_ns);
  }
}

int Scheduler::patience_ms() const {
  if (size() == 0) return -1;
  MutexLock lock(mutex_);
  uint64_t least = UINT64_MAX;
  refused_.clear();
  for (const Flow* tenant : root_->waiting()) {
    for (const Flow* client : tenant->waiting()) {
      for (const Flow* channel : client->waiting()) {
        const ModelTurns* turns = &turns_of(*channel->calls().front());
        if (std::find(refused_.begin(), refused_.end(), turns) != refused_.end()) continue;
        least = std::min(least, turns->overlap.patience_ns());
        refused_.push_back(turns);
        if (refused_.size() >= models_waiting_) break;
      }
    }
  }
  return least == UINT64_MAX ? -1 : static_cast<int>(least / 1'000'000) + 1;
}

std::unique_ptr<Call> Scheduler::remove(const Channel& channel, uint64_t call_id,
                                        bool* was_running) {
  MutexLock lock(mutex_);
  const auto& calls = channel.flow->calls();
  const auto found = std::find_if(calls.begin(), calls.end(), [&](const auto& call) {
    return call->submission.call_id == call_id;
  });
  if (found != calls.end()) {
    auto call = channel.flow->remove(static_cast<size_t>(found - calls.begin()));
    --size_;
    if (--turns_of(*call).waiting == 0) models_waiting_ -= 1;
    return call;
  }
  for (Call* call : running_) {
    if (call->channel.get() != &channel || call->submission.call_id != call_id) continue;
    if (was_running != nullptr) *was_running = !call->left_alone;
    call->left_alone = true;
  }
  return nullptr;
}

std::vector<std::unique_ptr<Call>> Scheduler::remove_channel(const Channel& channel) {
  std::vector<std::unique_ptr<Call>> calls;
  MutexLock lock(mutex_);
  while (!channel.flow->calls().empty()) {
    calls.push_back(channel.flow->remove(0));
    --size_;
    if (--turns_of(*calls.back()).waiting == 0) models_waiting_ -= 1;
  }
  return calls;
}

std::unique_ptr<Call> Scheduler::fresh_call() {
  if (thread_spare != nullptr) return std::move(thread_spare);
  MutexLock lock(mutex_);
  if (spare_.empty()) return std::make_unique<Call>();
  std::unique_ptr<Call> call = std::move(spare_.back());
  spare_.pop_back();
  return call;
}

void Scheduler::recycle(std::unique_ptr<Call> call) {
  call->channel.reset();
  call->cancelled.store(false);
  if (thread_spare == nullptr) {
    thread_spare = std::move(call);
    return;
  }
  MutexLock lock(mutex_);
  if (spare_.size() < kMostSpareCalls) spare_.push_back(std::move(call));
}

}  // namespace pocket::runner
