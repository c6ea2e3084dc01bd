#include "runner/workers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/clock.h"
#include "runner/execute.h"

namespace pocket::runner {
namespace {

constexpr uint64_t kWakeToken = UINT64_MAX;
constexpr uint64_t kTimerToken = UINT64_MAX - 1;
// Submissions taken from one channel before others get their turn.
constexpr int kIntakeBurst = 64;
// A worker spins for the next submission of a channel only while submissions follow each other
// within kSpinGapNs, and then no longer than kSpinNs.
constexpr uint64_t kSpinGapNs = 50'000;
constexpr uint64_t kSpinNs = 50'000;
// A worker that finds call after call on one channel looks at the others' doorbells this often.
constexpr uint64_t kPollGapNs = 20'000;
// After a call a worker sleeps this long before it lets the engine's threads rest.
constexpr int kRestMs = 2;
// The thread that hurries is woken in vain so often in this time, and then rests as long.
constexpr uint64_t kInVainNs = 1'000'000;
constexpr int kMostInVain = 8;

using Events = std::array<epoll_event, 16>;

void pause_processor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Result<std::unique_ptr<Workers>> Workers::create(std::unique_ptr<HurriedThread> hurried) {
  std::unique_ptr<Workers> workers(new Workers());
  workers->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!workers->epoll_.valid()) return errno_error("epoll_create1", errno);
  workers->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!workers->wake_.valid()) return errno_error("eventfd", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeToken;
  if (::epoll_ctl(workers->epoll_.get(), EPOLL_CTL_ADD, workers->wake_.get(), &event) != 0) {
    return errno_error("epoll_ctl", errno);
  }
  workers->timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!workers->timer_.valid()) return errno_error("timerfd_create", errno);
  event.data.u64 = kTimerToken;
  if (::epoll_ctl(workers->epoll_.get(), EPOLL_CTL_ADD, workers->timer_.get(), &event) != 0) {
    return errno_error("epoll_ctl", errno);
  }
  if (hurried == nullptr) return workers;
  workers->doorbells_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!workers->doorbells_.valid()) return errno_error("epoll_create1", errno);
  workers->hurried_bell_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!workers->hurried_bell_.valid()) return errno_error("eventfd", errno);
  event.data.u64 = kWakeToken;
  if (::epoll_ctl(workers->doorbells_.get(), EPOLL_CTL_ADD, workers->hurried_bell_.get(), &event) !=
      0) {
    return errno_error("epoll_ctl", errno);
  }
  workers->hurried_ = std::move(hurried);
  workers->hurried_->run([raw = workers.get()] { raw->work_hurried(); });
  return workers;
}

Workers::~Workers() { shut_down(); }

void Workers::grow_to(uint32_t threads) {
  MutexLock lock(threads_mutex_);
  if (runners_.load() < threads) runners_.store(threads);
  while (threads_.size() < runners_.load() + 1) threads_.emplace_back([this] { work(); });
}

void Workers::limit_to(uint32_t threads) {
  const uint32_t now = threads == 0 ? UINT32_MAX : threads;
  // Who goes to sleep because of the old limit has queued its call before: woken to look again.
  if (limit_.exchange(now) < now) wake_another();
}

Result<void> Workers::add(std::shared_ptr<Channel> channel) {
  const uint32_t id = channel->id();
  const int doorbell = channel->doorbell();
  scheduler_.add(*channel);
  {
    WriteLock lock(channels_mutex_);
    if (!channels_.emplace(id, std::move(channel)).second) {
      return Error{POCKET_ALREADY_EXISTS, fmt::format("channel {} exists", id)};
    }
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // never read: each ring of the bell is an edge
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, doorbell, &event) != 0) {
    const int failure = errno;
    remove(id);
    return errno_error("watching a doorbell", failure);
  }
  // Without it only the others see this one.
  if (doorbells_.valid()) ::epoll_ctl(doorbells_.get(), EPOLL_CTL_ADD, doorbell, &event);
  return ok_result();
}

std::shared_ptr<Channel> Workers::remove(uint32_t id) {
  std::shared_ptr<Channel> channel;
  {
    WriteLock lock(channels_mutex_);
    const auto found = channels_.find(id);
    if (found == channels_.end()) return nullptr;
    channel = std::move(found->second);
    channels_.erase(found);
  }
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel->doorbell(), nullptr);
  if (doorbells_.valid()) {
    ::epoll_ctl(doorbells_.get(), EPOLL_CTL_DEL, channel->doorbell(), nullptr);
  }
  channel->close(/*tell=*/false);
  for (auto& call : scheduler_.remove_channel(*channel)) {
    channel->drop_call();
    scheduler_.recycle(std::move(call));
  }
  return channel;
}

std::shared_ptr<Channel> Workers::find(uint32_t id) const {
  ReadLock lock(channels_mutex_);
  const auto found = channels_.find(id);
  return found == channels_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Channel>> Workers::all() const {
  ReadLock lock(channels_mutex_);
  std::vector<std::shared_ptr<Channel>> channels;
  for (const auto& [id, channel] : channels_) channels.push_back(channel);
  return channels;
}

void Workers::shut_down(const Error& reason) {
  stopping_.store(true);
  MutexLock lock(threads_mutex_);
  // Each edge wakes one sleeper, which passes it on.
  ::eventfd_write(wake_.get(), 1);
  if (hurried_bell_.valid()) ::eventfd_write(hurried_bell_.get(), 1);
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  hurried_.reset();
  while (auto call = scheduler_.pop()) {
    Outcome outcome;
    outcome.status = reason.code;
    outcome.message = reason.message;
    scheduler_.ended(*call, {}, 0);
    call->channel->complete(call->submission, outcome);
  }
}

void Workers::wake_another() {
  if (sleeping_.load() > 0) ::eventfd_write(wake_.get(), 1);
}

void Workers::listen(const Channel& channel, bool listens) {
  epoll_event event{};
  event.events = EPOLLET;
  if (listens) event.events |= EPOLLIN;  // rings at once: nobody reads a bell
  event.data.u64 = channel.id();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, channel.doorbell(), &event);
  if (doorbells_.valid()) {
    ::epoll_ctl(doorbells_.get(), EPOLL_CTL_MOD, channel.doorbell(), &event);
  }
}

void Workers::set_timer() {
  if (alone_.empty()) return;
  const uint64_t due = std::ranges::min(alone_).first;
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(due / kNanosecondsPerSecond);
  when.it_value.tv_nsec = static_cast<long>(due % kNanosecondsPerSecond);
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void Workers::leave_alone(const Channel& channel, uint64_t pause_ns) {
  listen(channel, false);
  MutexLock lock(alone_mutex_);
  alone_.emplace_back(deadline_after(pause_ns), channel.id());
  set_timer();
}

void Workers::listen_again() {
  std::vector<uint32_t> due;
  {
    MutexLock lock(alone_mutex_);
    const uint64_t now = monotonic_ns();
    std::erase_if(alone_, [&](const auto& entry) {
      if (entry.first <= now) due.push_back(entry.second);
      return entry.first <= now;
    });
    set_timer();
  }
  for (const uint32_t id : due) {
    const auto channel = find(id);
    if (channel == nullptr) continue;
    channel->heard_again();
    listen(*channel, true);
  }
}

bool Workers::intake(const std::shared_ptr<Channel>& channel, std::unique_ptr<Call>* hand) {
  bool found = false;
  wire::Submission submission;
  int count = 0;
  for (; count < kIntakeBurst && channel->take(submission); ++count) {
    switch (submission.opcode) {
      case wire::Opcode::kCancel:
        cancel(*channel, submission.block_offset);
        break;
      case wire::Opcode::kReleaseHandle:
        release_handle(*channel, submission);
        break;
      default:
        accept(channel, submission, hand);
        found = true;
    }
  }
  // Not for what the channel would not take: a client that takes no answers would keep the workers
  // busy.
  if (count == kIntakeBurst && channel->has_work() && !channel->closed()) leave_rest(channel);
  return found;
}

void Workers::leave_rest(std::shared_ptr<Channel> channel) {
  {
    MutexLock lock(rest_mutex_);
    rest_.push_back(std::move(channel));
  }
  // By the workers' own bell: a client can fill the doorbell and make whoever rings it wait.
  ::eventfd_write(wake_.get(), 1);
}

void Workers::take_rest(std::unique_ptr<Call>* hand) {
  std::vector<std::shared_ptr<Channel>> rest;
  {
    MutexLock lock(rest_mutex_);
    rest.swap(rest_);
  }
  for (const auto& channel : rest) intake(channel, hand);
}

void Workers::answer(Channel& channel, const wire::Submission& submission, const Error& error,
                     uint64_t retry_after_ns) {
  Outcome outcome;
  outcome.status = error.code;
  outcome.message = error.message;
  outcome.retry_after_ns = retry_after_ns;
  channel.complete(submission, outcome);
}

void Workers::accept(const std::shared_ptr<Channel>& channel, const wire::Submission& submission,
                     std::unique_ptr<Call>* hand) {
  std::unique_ptr<Call> call = scheduler_.fresh_call();
  call->channel = channel;
  call->submission = submission;
  call->seen_ns = monotonic_ns();
  bool malformed = false;
  if (auto prepared = prepare(*call, &malformed); !prepared.ok()) {
    if (malformed) {
      note_refusal(*channel, RefusalKind::kMalformed, prepared.error().code,
                   prepared.error().message);
    }
    answer(*channel, submission, prepared.error());
    scheduler_.recycle(std::move(call));
    return;
  }
  Refusal refusal;
  const bool at_once = hand != nullptr && *hand == nullptr;
  switch (scheduler_.take_in(call, most_running(), at_once, refusal)) {
    case Scheduler::Taken::kQueued:
      return;
    case Scheduler::Taken::kStarts:
      *hand = std::move(call);
      return;
    case Scheduler::Taken::kGone:
      channel->drop_call();
      break;
    case Scheduler::Taken::kRefused:
      note_refusal(*channel, RefusalKind::kLimit, POCKET_BUSY, refusal.message);
      answer(*channel, submission, {POCKET_BUSY, std::move(refusal.message)},
             refusal.retry_after_ns);
  }
  scheduler_.recycle(std::move(call));
}

void Workers::cancel(Channel& channel, uint64_t call_id) {
  // A call that runs already is answered when it ends: the client has its answer from the library.
  // What that client lends goes home now.
  bool was_running = false;
  std::unique_ptr<Call> call = scheduler_.remove(channel, call_id, &was_running);
  if (was_running) channel.give_loan_back();
  if (call == nullptr) {
    MutexLock lock(followed_mutex_);
    for (Call* running : followed_) {
      const bool wanted = running->channel.get() == &channel;
      if (wanted && running->submission.call_id == call_id) running->cancelled.store(true);
    }
    return;
  }
  answer(channel, call->submission, {POCKET_CANCELLED, "the call was cancelled before it ran"});
  scheduler_.recycle(std::move(call));
}

void Workers::release_handle(Channel& channel, const wire::Submission& submission) {
  Outcome outcome;
  if (auto released = channel.handles().release(submission.block_offset); !released.ok()) {
    outcome.status = released.error().code;
    outcome.message = std::move(released.error().message);
    note_refusal(channel, RefusalKind::kHandle, outcome.status, outcome.message);
  }
  channel.complete(submission, outcome);
}

void Workers::note_refusal(const Channel& channel, RefusalKind kind, pocket_status status,
                           const std::string& message) {
  refusals_.add(channel.session(), channel.parts().model_number, kind, status, message);
}

/// What came out of a call that is a refusal: a limit of memory, or another's kept tensor.
void Workers::note_outcome(const Call& call, const Outcome& outcome) {
  if (outcome.status == POCKET_RESOURCE_EXHAUSTED) {
    note_refusal(*call.channel, RefusalKind::kLimit, outcome.status, outcome.message);
  } else if (outcome.status == POCKET_NOT_FOUND &&
             std::ranges::any_of(call.view.inputs, [](const auto& input) {
               return (input.flags & wire::kTensorByHandle) != 0;
             })) {
    note_refusal(*call.channel, RefusalKind::kHandle, outcome.status, outcome.message);
  }
}

Outcome Workers::run_measured(const Call& call) {
  // Reading a thread's clock is a system call: short calls go by the clock on the wall.
  const bool shares = call.channel->model().threads() > 1;
  if (call.expected_ns > 0 && call.expected_ns < processor_time_.worth_reading_ns(shares)) {
    Outcome outcome = execute(call, monotonic_ns());
    outcome.cpu_ns = outcome.compute_ns;
    return outcome;
  }
  const auto start = processor_time_.start(shares);
  Outcome outcome = execute(call, monotonic_ns());
  outcome.cpu_ns = processor_time_.end(start);
  return outcome;
}

Outcome Workers::run_followed(Call& call) {
  if (!call.channel->model().follows_calls()) return run_measured(call);
  {
    MutexLock lock(followed_mutex_);
    followed_.push_back(&call);
  }
  Outcome outcome = run_measured(call);
  MutexLock lock(followed_mutex_);
  std::erase(followed_, &call);
  return outcome;
}

std::shared_ptr<Channel> Workers::run(std::unique_ptr<Call> call) {
  const std::shared_ptr<Channel> channel = call->channel;
  Outcome outcome = run_followed(*call);
  const Usage usage{outcome.queue_ns, outcome.compute_ns, outcome.cpu_ns, outcome.status};
  outcome.loan_is_home = !scheduler_.ended(*call, usage, most_running());
  // Counted before the answer is visible: who has the answer sees it counted.
  auto& counters = channel->model().counters();
  counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (outcome.status != POCKET_OK) counters.errors.fetch_add(1, std::memory_order_relaxed);
  counters.queue_ns.fetch_add(outcome.queue_ns, std::memory_order_relaxed);
  counters.compute_ns.fetch_add(outcome.compute_ns, std::memory_order_relaxed);
  counters.last_call_ns.store(call->seen_ns, std::memory_order_relaxed);
  channel->complete(call->submission, outcome);
  scheduler_.record(*call, usage);
  if (outcome.status != POCKET_OK) note_outcome(*call, outcome);
  scheduler_.recycle(std::move(call));
  return channel;
}

bool Workers::poll(int timeout_ms, std::unique_ptr<Call>* hand) {
  if (timeout_ms != 0) sleeping_.fetch_add(1);
  Events events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms);
  if (timeout_ms != 0) sleeping_.fetch_sub(1);
  for (int index = 0; index < count; ++index) {
    const uint64_t token = events[static_cast<size_t>(index)].data.u64;
    if (token == kWakeToken) {
      take_rest(hand);
      continue;
    }
    if (token == kTimerToken) {
      listen_again();
      continue;
    }
    const auto channel = find(static_cast<uint32_t>(token));
    if (channel == nullptr || intake(channel, hand)) continue;
    if (const uint64_t pause_ns = channel->rang_in_vain(); pause_ns > 0) {
      leave_alone(*channel, pause_ns);
    }
  }
  return count > 0;
}

void Workers::tell_hurried() {
  if (hurried_bell_.valid() && scheduler_.full(most_running())) {
    ::eventfd_write(hurried_bell_.get(), 1);
  }
}

void Workers::wait_hurried() {
  hurried_watches_.store(false);
  if (!scheduler_.full(most_running())) {
    // Who fills the runner after this look sees that nobody watches, and tells.
    pollfd bell{hurried_bell_.get(), POLLIN, 0};
    while (::poll(&bell, 1, -1) < 0) {
    }
    eventfd_t ignored = 0;
    ::eventfd_read(hurried_bell_.get(), &ignored);
    return;
  }
  hurried_watches_.store(true);
  Events events;
  const int count = ::epoll_wait(doorbells_.get(), events.data(), events.size(), -1);
  for (int index = 0; index < count; ++index) {
    // Without a hand: what need not slip in is the others' to run.
    const uint64_t token = events[static_cast<size_t>(index)].data.u64;
    if (token == kWakeToken) continue;
    if (auto channel = find(static_cast<uint32_t>(token))) intake(channel, nullptr);
  }
}

void Workers::work_hurried() {
  processor_time_.add_worker();
  uint64_t began_ns = 0;
  int in_vain = 0;  // since then
  while (!stopping_.load()) {
    wait_hurried();
    if (auto call = scheduler_.pop_hurried(most_running())) {
      run(std::move(call));
      in_vain = 0;
      // What waited for this thread alone.
      if (scheduler_.size() > 0) tell_hurried();
    } else if (scheduler_.ready(most_running())) {
      wake_another();
    }
    // A client that rings its bell in a loop must not have this thread's weight.
    const uint64_t now = monotonic_ns();
    if (now - began_ns >= kInVainNs) began_ns = now, in_vain = 0;
    if (++in_vain > kMostInVain) ::usleep(kInVainNs / 1000);
  }
}

void Workers::sleep(std::unique_ptr<Call>* hand) {
  const int patience_ms = scheduler_.patience_ms();
  const int due_ms = resting_.due_ms(monotonic_ns());
  // As numbers without a sign the one that means for ever is the greatest.
  const auto shorter = std::min(static_cast<unsigned>(patience_ms), static_cast<unsigned>(due_ms));
  if (!poll(static_cast<int>(shorter), hand)) resting_.give_back(monotonic_ns());
}

bool Workers::spin_on(const std::shared_ptr<Channel>& channel, uint64_t spin_ns,
                      std::unique_ptr<Call>* hand) {
  if (channel->has_spinner.exchange(true)) return false;
  channel->set_parked(false);
  const uint64_t end = monotonic_ns() + spin_ns;
  bool found = false;
  while (!found && !channel->closed() && !stopping_.load(std::memory_order_relaxed)) {
    for (int count = 0; count < 64 && !(found = channel->has_work()); ++count) pause_processor();
    if (!found && monotonic_ns() >= end) break;
  }
  // Says "ring me" and looks once more; pairs with the client, which publishes and then looks.
  channel->set_parked(true);
  found = found || channel->has_work();
  channel->has_spinner.store(false);
  return found && intake(channel, hand);
}

void Workers::work() {
  processor_time_.add_worker();
  std::shared_ptr<Channel> last;
  uint64_t last_end_ns = 0;
  uint64_t gap_ns = UINT64_MAX / 2;  // running mean of the pause between two calls
  uint64_t last_poll_ns = 0;
  std::unique_ptr<Call> hand;  // a call that this thread took in and runs next
  while (!stopping_.load()) {
    bool more = hand != nullptr && scheduler_.ready(most_running());
    std::unique_ptr<Call> call =
        hand != nullptr ? std::move(hand) : scheduler_.pop(most_running(), &more);
    if (call != nullptr) {
      if (more) wake_another();
      if (call->expected_ns >= Scheduler::kWorthHurryNs && !hurried_watches_.load()) tell_hurried();
      last = run(std::move(call));
      const uint64_t now = monotonic_ns();
      if (now - last_poll_ns >= kPollGapNs) {
        last_poll_ns = now;
        poll(0, &hand);
      }
      last_end_ns = now;
    } else if (last != nullptr) {
      if (scheduler_.size() > 0) tell_hurried();
      const bool spin = gap_ns < kSpinGapNs;
      const bool found =
          (last->has_work() && intake(last, &hand)) || (spin && spin_on(last, kSpinNs, &hand));
      const uint64_t gap = std::min<uint64_t>(monotonic_ns() - last_end_ns, 1'000'000'000);
      gap_ns = found ? (std::min<uint64_t>(gap_ns, 1'000'000'000) * 3 + gap) / 4 : gap_ns;
      if (found) continue;
      // Shortly after a call the next one is likely, and finds the engine's threads awake.
      if (!poll(kRestMs, &hand)) {
        last->model().rest();
        resting_.add(last->model(), monotonic_ns());
        last = nullptr;  // a sleeper keeps nothing of a client alive
        sleep(&hand);
      }
      const uint64_t pause = std::min<uint64_t>(monotonic_ns() - last_end_ns, 1'000'000'000);
      gap_ns = (std::min<uint64_t>(gap_ns, 1'000'000'000) * 3 + pause) / 4;
    } else {
      if (scheduler_.size() > 0) tell_hurried();
      sleep(&hand);
    }
  }
  if (hand != nullptr) run(std::move(hand));
  ::eventfd_write(wake_.get(), 1);  // the next sleeper ends too
}

}  // namespace pocket::runner
