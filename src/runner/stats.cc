// What this runner's calls came to, for pocketd.
#include <time.h>

#include <algorithm>
#include <map>
#include <set>

#include "runner/control.h"
#include "wire/busiest.h"

namespace pocket::runner {

namespace control = wire::control;

namespace {

constexpr size_t kBytesOfEntry = 160;

std::unique_ptr<control::CallTimesT> pack(const Histogram& times) {
  const auto& counts = times.counts();
  const auto some = [](uint32_t count) { return count != 0; };
  const auto first = std::ranges::find_if(counts, some);
  const auto last = std::find_if(counts.rbegin(), counts.rend(), some).base();
  auto packed = std::make_unique<control::CallTimesT>();
  if (first == counts.end()) return packed;
  packed->first = static_cast<uint32_t>(first - counts.begin());
  packed->counts.assign(first, last);
  return packed;
}

std::unique_ptr<control::RunnerUsageT> pack(uint32_t tenant, uint32_t model,
                                            const FlowStats& stats) {
  auto entry = std::make_unique<control::RunnerUsageT>();
  entry->tenant = tenant;
  entry->model = model;
  entry->calls = stats.calls;
  entry->errors = stats.errors;
  entry->refused = stats.refused;
  entry->expired = stats.expired;
  entry->queue_ns = stats.queue_ns;
  entry->compute_ns = stats.compute_ns;
  entry->cpu_ns = stats.cpu_ns;
  if (stats.times != nullptr) {
    entry->queue_times = pack(stats.times->queue);
    entry->compute_times = pack(stats.times->compute);
  }
  return entry;
}

/// Of all threads of this process, ended ones too.
uint64_t process_cpu_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

/// What the calls of these sessions came to, together, by model.
std::vector<std::unique_ptr<control::RunnerUsageT>> usage_of(const std::vector<uint64_t>& sessions,
                                                             const Workers& workers,
                                                             const Scheduler& scheduler) {
  struct Sum {
    FlowStats stats;
    uint32_t waiting = 0, running = 0;
  };
  std::map<uint32_t, Sum> sums;
  const std::set<uint64_t> wanted(sessions.begin(), sessions.end());
  for (const auto& channel : workers.all()) {
    if (!wanted.contains(channel->session())) continue;
    scheduler.look_at_channel(*channel, [&](const Flow& flow) {
      Sum& sum = sums[channel->parts().model_number];
      sum.stats.add(flow.stats);
      sum.waiting += flow.waiting_calls();
      sum.running += flow.running_calls();
    });
  }
  std::vector<std::unique_ptr<control::RunnerUsageT>> entries;
  for (const auto& [model, sum] : sums) {
    entries.push_back(pack(0, model, sum.stats));
    entries.back()->waiting = sum.waiting;
    entries.back()->running = sum.running;
  }
  return entries;
}

}  // namespace

void Control::get_stats(uint64_t request, const control::RunnerGetStatsT& wanted) {
  control::RunnerStatsT stats;
  stats.cpu_ns = process_cpu_ns();
  {
    MutexLock lock(models_mutex_);
    for (const auto& [id, model] : models_) {
      auto entry = std::make_unique<control::RunnerModelStatsT>();
      entry->model = id;
      entry->calls = model->counters().calls.load();
      entry->errors = model->counters().errors.load();
      entry->queue_ns = model->counters().queue_ns.load();
      entry->compute_ns = model->counters().compute_ns.load();
      entry->last_call_ns = model->counters().last_call_ns.load();
      stats.models.push_back(std::move(entry));
    }
  }
  Scheduler& scheduler = workers_->scheduler();
  if (!wanted.sessions.empty()) {  // whoever sees these sees nothing else
    stats.own = usage_of(wanted.sessions, *workers_, scheduler);
    stats.left_out = wire::keep_busiest(stats.own, kBytesOfEntry);
    send(request, std::move(stats));
    return;
  }
  std::map<std::pair<uint32_t, uint32_t>, std::pair<uint32_t, uint32_t>> in_flight;
  for (const auto& channel : workers_->all()) {
    const auto [waiting, running] = scheduler.in_flight(*channel);
    auto& sum = in_flight[{channel->parts().tenant, channel->parts().model_number}];
    sum.first += waiting;
    sum.second += running;
  }
  scheduler.look_at_tallies([&](uint32_t tenant, uint32_t model, const FlowStats& tally) {
    stats.usage.push_back(pack(tenant, model, tally));
  });
  stats.left_out = wire::keep_busiest(stats.usage, kBytesOfEntry);
  for (const auto& entry : stats.usage) {
    std::tie(entry->waiting, entry->running) = in_flight[{entry->tenant, entry->model}];
  }
  for (const auto& [tenant, budget] : kept_) {
    const KeptBudget::Use use = budget->use();
    if (use.tensors == 0 || stats.kept.size() >= 256) continue;
    auto entry = std::make_unique<control::RunnerKeptT>();
    entry->tenant = tenant;
    entry->tensors = use.tensors;
    entry->bytes = use.bytes;
    entry->max_bytes = use.max_bytes;
    stats.kept.push_back(std::move(entry));
  }
  send(request, std::move(stats));
}

void Control::get_refusals(uint64_t request) {
  control::RunnerRefusalsT answer;
  uint64_t left_out = 0;
  for (RefusedCalls& refused : workers_->refusals().take(left_out)) {
    auto entry = std::make_unique<control::RunnerRefusalT>();
    entry->session = refused.session;
    entry->model = refused.model;
    entry->kind = static_cast<uint8_t>(refused.kind);
    entry->count = refused.count;
    entry->status = refused.status;
    entry->message = std::move(refused.message);
    answer.refusals.push_back(std::move(entry));
  }
  answer.left_out = left_out;
  send(request, std::move(answer));
}

}  // namespace pocket::runner
