// Whose turn it is: tenants, the clients of a tenant and the channels of a client as a tree of
// flows, served by the processor time they used (docs/fairness.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner/histogram.h"

namespace pocket::runner {

struct Call;

/// How long the calls of a tenant or a model took.
struct CallTimes {
  Histogram queue;
  Histogram compute;
};

/// What the calls of one flow or model, or of a tenant with a model, came to.
struct FlowStats {
  uint64_t calls = 0;
  uint64_t errors = 0;
  uint64_t refused = 0;  // told to come back later
  uint64_t expired = 0;  // not run because their deadline had passed
  uint64_t cpu_ns = 0;
  uint64_t queue_ns = 0;
  uint64_t compute_ns = 0;
  // Of a tenant's calls with one model, and of the channels of those without a tenant.
  std::unique_ptr<CallTimes> times;

  void add(const FlowStats& other);
};

/// A node of the tree. The root's children are tenants, theirs are clients (sessions), and theirs
/// are channels, which hold the calls. Start-time fair queueing at each level: a child that begins
/// to wait starts at the parent's clock or where its own service ended, whichever is later; the
/// child with the earliest start is next, and is charged what its call is expected to take, over
/// its weight; what the call really took corrects that. So who used less is next, nobody saves up
/// turns while it is away, and nobody is forgiven what it used. Not thread-safe: guarded by the
/// scheduler's lock.
class Flow {
 public:
  static constexpr uint32_t kUsualWeight = 100;

  /// A shared parent, because calls that run keep their flows after the channel is gone.
  explicit Flow(std::shared_ptr<Flow> parent = nullptr, uint32_t weight = kUsualWeight);
  ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  /// Of a channel: queues a call.
  void push(std::unique_ptr<Call> call);
  /// Of a channel: takes call number `index` out, without serving it.
  std::unique_ptr<Call> remove(size_t index);
  /// Of a channel: serves its first call, which is expected to take `cost_ns` of processor time.
  std::unique_ptr<Call> serve(double cost_ns);
  /// As push() and serve() of a call that need not be queued: nothing waits in the whole tree.
  void serve_at_once(double cost_ns);
  /// Of a channel: a served call ended, and took so much more (or less) than it was charged.
  void ended(double extra_ns);

  /// Of a channel: whether it was served no more than another one, at the level where their ways
  /// part. `extra_ns`: what the other used beyond what it was charged so far.
  bool is_behind(const Flow& other, double extra_ns) const;

  /// Another share for what it uses from now on. Whoever has the higher priority comes first,
  /// whatever it used.
  void set_place(uint32_t weight, uint32_t priority);
  uint32_t weight() const { return weight_; }

  Flow* parent() const { return parent_.get(); }
  const std::shared_ptr<Flow>& shared_parent() const { return parent_; }
  /// Children that have calls waiting, the next one first.
  const std::vector<Flow*>& waiting() const { return waiting_; }
  const std::vector<std::unique_ptr<Call>>& calls() const { return calls_; }
  uint32_t waiting_calls() const { return waiting_calls_; }
  uint32_t running_calls() const { return running_calls_; }

  FlowStats stats;

 private:
  void enter();  // among the parent's waiting
  void leave();  // from there
  void move();   // to where its start is now
  void charge(double start_ns, double cost_ns);
  void count_waiting(int calls);

  const std::shared_ptr<Flow> parent_;
  uint32_t weight_;
  uint32_t priority_ = 0;
  // Virtual time: processor time over weight.
  double start_ = 0;   // of the next call: the later of the next two; valid while it waits
  double came_ = 0;    // the parent's clock when it began to wait
  double finish_ = 0;  // where its service ended so far
  double clock_ = 0;   // of the children: start of the one served last
  uint32_t waiting_calls_ = 0;
  uint32_t running_calls_ = 0;
  bool waits_ = false;
  std::vector<Flow*> waiting_;
  std::vector<std::unique_ptr<Call>> calls_;  // few: moving them up is cheap
};

}  // namespace pocket::runner
