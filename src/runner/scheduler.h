// Which call runs next (docs/fairness.md): clients in fair order by the processor time they used,
// and no model holds up another one.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "runner/admission.h"
#include "runner/channel.h"
#include "runner/flow.h"

namespace pocket::runner {

/// What a call used, as far as it was measured.
struct Usage {
  uint64_t queue_ns = 0;
  uint64_t compute_ns = 0;
  uint64_t cpu_ns = 0;
  pocket_status status = POCKET_OK;
};

/// A queue of calls, bounded for each client and in all (Admission). Any thread.
class Scheduler {
 public:
  /// `now`: the clock, for tests.
  explicit Scheduler(uint64_t (*now)() = nullptr);

  /// Gives a channel its place, which it keeps; before its first call.
  void add(Channel& channel);
  /// What a tenant may from now on; one that is not known is made.
  void set_rules(uint32_t tenant, TenantRules rules);

  enum class Taken {
    kStarts,   // the caller runs it now and gives it to ended()
    kQueued,   // pop() will give it
    kGone,     // the channel is closed: nobody waits for it
    kRefused,  // not now: `refusal` says when
  };
  /// Takes a call in. `at_once`: the caller has a free hand, and a call that nobody has to wait for
  /// is not queued. kGone and kRefused leave the call with the caller.
  Taken take_in(std::unique_ptr<Call>& call, uint32_t threads, bool at_once, Refusal& refusal);
  /// The next call that may start now, or none. `threads`: how many may run; 0: whatever comes
  /// next starts (Overlap decides otherwise). Each popped call must be given to ended(). `more` is
  /// set when another one could start beside it.
  std::unique_ptr<Call> pop(uint32_t threads = 0, bool* more = nullptr);
  /// Whether pop() would give one.
  bool ready(uint32_t threads) const;
  /// A started call has ended. `threads` as for pop(), now. False: the call was cancelled while it
  /// ran, and its loan has gone home already.
  bool ended(const Call& call, const Usage& usage, uint32_t threads);
  /// Counts what the call came to; apart from ended() because nobody waits for it.
  void record(const Call& call, const Usage& usage);
  /// How long a worker that got none may sleep before looking again; -1: until it is woken.
  int patience_ms() const;
  /// Takes a queued call out; none when it runs already or is not known. One that runs is left to
  /// its end, without its client: `was_running` is set the first time.
  std::unique_ptr<Call> remove(const Channel& channel, uint64_t call_id,
                               bool* was_running = nullptr);
  /// Takes every queued call of a channel out.
  std::vector<std::unique_ptr<Call>> remove_channel(const Channel& channel);
  /// Calls of a channel that wait and that run.
  std::pair<uint32_t, uint32_t> in_flight(const Channel& channel) const;
  /// Queued calls; without the lock, so a hint to who did not queue or pop them.
  size_t size() const { return size_.load(); }

  /// The flows of tenants and of all clients that have channels, and a model's calls: `look` is
  /// called with the lock held.
  template <typename Look>
  void look_at_tenants(Look&& look) const {
    MutexLock lock(mutex_);
    for (const auto& [number, tenant] : tenants_) look(number, *tenant);
  }
  template <typename Look>
  void look_at_clients(Look&& look) const {
    MutexLock lock(mutex_);
    for (const auto& [key, client] : clients_) {
      if (const auto flow = client.lock()) look(key.first, key.second, *flow);
    }
  }
  /// What each tenant's calls with each model came to, with the numbers of both.
  template <typename Look>
  void look_at_tallies(Look&& look) const {
    MutexLock lock(mutex_);
    for (const auto& [key, stats] : tallies_) look(key.first, key.second, *stats);
  }
  /// What the calls of one channel came to.
  template <typename Look>
  void look_at_channel(const Channel& channel, Look&& look) const {
    MutexLock lock(mutex_);
    look(*channel.flow);
  }
  /// A model is gone: what its calls came to goes too, when the last of its channels does.
  void forget_model(uint32_t model);
  template <typename Look>
  void look_at_model(const RunnerModel& model, Look&& look) const {
    MutexLock lock(mutex_);
    look(model.turns);
  }

  /// A used call object to fill again, or a new one.
  std::unique_ptr<Call> fresh_call();
  void recycle(std::unique_ptr<Call> call);

 private:
  std::shared_ptr<Tenant> tenant(uint32_t number) POCKET_REQUIRES(mutex_);
  void weigh(Channel& channel, uint64_t now_ns) POCKET_REQUIRES(mutex_);
  ModelTurns& turns_of(const Call& call) const POCKET_REQUIRES(mutex_);
  bool may_start(const Call& call, uint32_t threads) const POCKET_REQUIRES(mutex_);
  bool may_slip_in(const Call& call) const POCKET_REQUIRES(mutex_);
  bool may_overlap(const Call& call, uint32_t threads) const POCKET_REQUIRES(mutex_);
  Flow* next(uint32_t threads) const POCKET_REQUIRES(mutex_);
  void started(Call& call, uint32_t threads) POCKET_REQUIRES(mutex_);
  uint64_t expected_ns(const Call& call) const POCKET_REQUIRES(mutex_);

  uint64_t (*const now_)();
  mutable Mutex mutex_;
  const std::shared_ptr<Flow> root_;
  std::map<uint32_t, std::shared_ptr<Tenant>> tenants_ POCKET_GUARDED_BY(mutex_);
  // By tenant and session. A client is its channels' and their calls'.
  std::map<std::pair<uint32_t, uint64_t>, std::weak_ptr<Flow>> clients_ POCKET_GUARDED_BY(mutex_);
  // By tenant and model.
  std::map<std::pair<uint32_t, uint32_t>, std::shared_ptr<FlowStats>> tallies_
      POCKET_GUARDED_BY(mutex_);
  std::atomic<size_t> size_{0};  // written under mutex_
  std::vector<Call*> running_ POCKET_GUARDED_BY(mutex_);
  uint32_t slipped_in_ POCKET_GUARDED_BY(mutex_) = 0;      // of running_
  uint32_t models_waiting_ POCKET_GUARDED_BY(mutex_) = 0;  // that have queued calls
  mutable std::vector<const ModelTurns*> refused_ POCKET_GUARDED_BY(mutex_);  // of one next()
  mutable ModelTurns no_model_ POCKET_GUARDED_BY(mutex_);  // of calls without one, in tests
  std::vector<std::unique_ptr<Call>> spare_ POCKET_GUARDED_BY(mutex_);
};

}  // namespace pocket::runner
