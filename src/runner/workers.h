// The threads that serve the channels.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "runner/channel.h"
#include "runner/hurried_thread.h"
#include "runner/processor_time.h"
#include "runner/refusals.h"
#include "runner/resting.h"
#include "runner/scheduler.h"

namespace pocket::runner {

/// All workers sleep in one epoll set of doorbells, so that a submission wakes one thread, which
/// takes it in and runs it itself: no hand-over on the way to the engine. Functions may be called
/// from any thread.
class Workers {
 public:
  /// With a thread that hurries (none: nobody does) short calls go before long ones that run.
  static Result<std::unique_ptr<Workers>> create(std::unique_ptr<HurriedThread> hurried = nullptr);
  ~Workers();

  /// At least this many threads run calls from now on. There is one more, which takes calls in
  /// while all the others run some: for clients that lend from the moment they call, and for calls
  /// that need not wait for longer ones (Scheduler).
  void grow_to(uint32_t threads);
  /// At most this many of them run calls at the same time; 0: all of them.
  void limit_to(uint32_t threads);
  Result<void> add(std::shared_ptr<Channel> channel);
  /// Drops the channel's queued calls and waits for nothing: those that run end by themselves.
  std::shared_ptr<Channel> remove(uint32_t channel);
  std::shared_ptr<Channel> find(uint32_t channel) const;
  std::vector<std::shared_ptr<Channel>> all() const;
  Scheduler& scheduler() { return scheduler_; }
  Refusals& refusals() { return refusals_; }

  /// Lets running calls end, answers queued ones with `reason`, and ends the threads.
  void shut_down(const Error& reason = {POCKET_CANCELLED, "the service is shutting down"});

 private:
  Workers() = default;
  void work();
  /// What the thread that hurries does: while all others compute it takes calls in, and runs those
  /// that may slip in.
  void work_hurried();
  /// Sleeps until there may be something for it to do.
  void wait_hurried();
  /// Has it look, where only it can start another call. Any thread.
  void tell_hurried();
  /// Takes in what waits on a channel; true when there is something to run. With a `hand` that is
  /// empty, a call that nobody waits before goes there instead of into the queue.
  bool intake(const std::shared_ptr<Channel>& channel, std::unique_ptr<Call>* hand);
  void accept(const std::shared_ptr<Channel>& channel, const wire::Submission& submission,
              std::unique_ptr<Call>* hand);
  void answer(Channel& channel, const wire::Submission& submission, const Error& error,
              uint64_t retry_after_ns = 0);
  void cancel(Channel& channel, uint64_t call_id);
  void release_handle(Channel& channel, const wire::Submission& submission);
  void note_refusal(const Channel& channel, RefusalKind kind, pocket_status status,
                    const std::string& message);
  void note_outcome(const Call& call, const Outcome& outcome);
  /// Runs a started call; returns its channel.
  std::shared_ptr<Channel> run(std::unique_ptr<Call> call);
  Outcome run_measured(const Call& call);
  /// run_measured(), and meanwhile cancel() finds the call where its engine looks at that.
  Outcome run_followed(Call& call);
  /// Looks for doorbells, sleeping up to `timeout_ms` (-1: for ever); false: there was none.
  bool poll(int timeout_ms, std::unique_ptr<Call>* hand);
  bool spin_on(const std::shared_ptr<Channel>& channel, uint64_t spin_ns,
               std::unique_ptr<Call>* hand);
  /// Sleeps until a doorbell rings; meanwhile models that rest give back.
  void sleep(std::unique_ptr<Call>* hand);
  void wake_another();
  /// Wakes nobody for this channel's doorbell for so long.
  void leave_alone(const Channel& channel, uint64_t pause_ns);
  void listen_again();
  void listen(const Channel& channel, bool listens);
  void set_timer() POCKET_REQUIRES(alone_mutex_);
  /// The channel has more than was taken at once: whoever is woken next goes on with it.
  void leave_rest(std::shared_ptr<Channel> channel);
  void take_rest(std::unique_ptr<Call>* hand);
  /// How many calls may run at the same time.
  uint32_t most_running() const { return std::min(limit_.load(), runners_.load()); }

  UniqueFd epoll_;
  UniqueFd wake_;
  Scheduler scheduler_;
  Refusals refusals_;
  Resting resting_;
  ProcessorTime processor_time_;
  mutable SharedMutex channels_mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<Channel>> channels_
      POCKET_GUARDED_BY(channels_mutex_);
  Mutex threads_mutex_;
  std::vector<std::thread> threads_ POCKET_GUARDED_BY(threads_mutex_);
  Mutex rest_mutex_;
  std::vector<std::shared_ptr<Channel>> rest_ POCKET_GUARDED_BY(rest_mutex_);
  UniqueFd doorbells_;     // all of them once more, in an epoll set for the thread that hurries
  UniqueFd hurried_bell_;  // in that set too
  std::atomic<bool> hurried_watches_{false};  // the doorbells, too
  UniqueFd timer_;
  Mutex alone_mutex_;
  std::vector<std::pair<uint64_t, uint32_t>> alone_
      POCKET_GUARDED_BY(alone_mutex_);  // until, channel
  Mutex followed_mutex_;
  std::vector<Call*> followed_ POCKET_GUARDED_BY(followed_mutex_);
  std::atomic<uint32_t> sleeping_{0};
  std::atomic<uint32_t> limit_{UINT32_MAX};
  std::atomic<uint32_t> runners_{0};  // threads that may run calls; there is one more
  std::atomic<bool> stopping_{false};
  std::unique_ptr<HurriedThread> hurried_;
};

}  // namespace pocket::runner
