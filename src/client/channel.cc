#include "client/channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/checked.h"
#include "base/clock.h"
#include "client/processor.h"
#include "ipc/region.h"

namespace pocket::client {
namespace {

namespace control = wire::control;

constexpr uint64_t kControlNs = 30 * kNanosecondsPerSecond;
constexpr uint64_t kGrowthNs = kControlNs;
// Spinning pays only where the answer comes sooner than a sleep and a wake-up would take.
constexpr uint64_t kSpinServiceNs = 30'000;
constexpr uint64_t kSpinLimitNs = 100'000;
// pocketd says when a runner has died; where both die at once nobody does, so those who wait look.
constexpr uint64_t kLookForRunnerNs = kNanosecondsPerSecond / 2;
// The slot of a call that was given up; free again once the runner has answered it.
Pending* const kAbandoned = reinterpret_cast<Pending*>(alignof(Pending));

}  // namespace

Channel::Channel(std::shared_ptr<Session> session, OpenedChannel opened, pocket_wait_mode wait_mode)
    : session_(std::move(session)),
      id_(opened.id),
      connection_(opened.connection),
      wait_mode_(wait_mode),
      doorbell_(std::move(opened.fds[2])),
      notify_(std::move(opened.fds[3])),
      service_ns_(UINT64_MAX / 2) {
  for (uint32_t slot = wire::kRingSlots; slot > 0; --slot) free_slots_.push_back(slot - 1);
}

Result<std::shared_ptr<Channel>> Channel::create(std::shared_ptr<Session> session,
                                                 OpenedChannel opened, pocket_wait_mode wait_mode) {
  const uint64_t request_bytes = opened.request_bytes;
  const uint64_t response_bytes = opened.response_bytes;
  const UniqueFd request = std::move(opened.fds[0]);
  const UniqueFd response = std::move(opened.fds[1]);
  std::shared_ptr<Channel> channel(new Channel(std::move(session), std::move(opened), wait_mode));
  POCKET_RETURN_IF_ERROR(channel->map_region(0, request, request_bytes, response, response_bytes));
  const auto* header = channel->response_header();
  if (header->magic != wire::kResponseMagic || header->version != wire::kLayoutVersion) {
    return Error{POCKET_VERSION_MISMATCH, "the service lays channels out in another version"};
  }
  return channel;
}

Result<void> Channel::map_region(uint32_t region, const UniqueFd& request, uint64_t request_bytes,
                                 const UniqueFd& response, uint64_t response_bytes) {
  POCKET_RETURN_IF_ERROR(ipc::verify_region(request.get(), request_bytes));
  POCKET_RETURN_IF_ERROR(ipc::verify_region(response.get(), response_bytes));
  POCKET_ASSIGN_OR_RETURN(Mapping request_mapping,
                          Mapping::map(request.get(), request_bytes, MapAccess::kReadWrite));
  POCKET_ASSIGN_OR_RETURN(Mapping response_mapping,
                          Mapping::map(response.get(), response_bytes, MapAccess::kReadOnly));
  // This mapping is the last writable one: not even the runner can write our requests.
  ::fcntl(request.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
  MutexLock lock(mutex_);
  // A region before this one that never got here, or could not be mapped, has nothing to give.
  for (uint32_t missing = region_count_.load(); missing < region; ++missing) {
    request_arena_.add_region(0, 0);
    response_arena_.add_region(0, 0);
  }
  const uint64_t from = region == 0 ? wire::kArenaOffset : 0;
  requests_[region] = std::move(request_mapping);
  responses_[region] = std::move(response_mapping);
  request_arena_.add_region(from, request_bytes);
  response_arena_.add_region(from, response_bytes);
  region_count_.store(region + 1, std::memory_order_release);
  return ok_result();
}

std::optional<Block> Channel::try_allocate(uint64_t bytes, bool request) {
  MutexLock lock(mutex_);
  return (request ? request_arena_ : response_arena_).allocate(bytes);
}

Result<Block> Channel::allocate(uint64_t bytes, bool request) {
  if (auto block = try_allocate(bytes, request)) return *block;
  // Twice what is asked for, up to a bound, so that a few such calls fit without growing again.
  constexpr uint64_t kExtraLimit = uint64_t{64} << 20;
  const auto wanted = checked_add(bytes, std::min(std::max<uint64_t>(bytes, 65536), kExtraLimit));
  if (!wanted) return Error{POCKET_RESOURCE_EXHAUSTED, "the tensor is too large"};
  MutexLock growing(grow_mutex_);
  for (int attempt = 0; attempt < 2; ++attempt) {
    // Another thread may have added memory meanwhile, or taken what was added.
    if (auto block = try_allocate(bytes, request)) return *block;
    POCKET_RETURN_IF_ERROR(grow(request ? *wanted : 4096, request ? 4096 : *wanted));
  }
  if (auto block = try_allocate(bytes, request)) return *block;
  return Error{POCKET_RESOURCE_EXHAUSTED,
               "other calls took the shared memory that was added: run fewer at once"};
}

Result<void> Channel::grow(uint64_t request_bytes, uint64_t response_bytes) {
  control::GrowChannelT wanted;
  wanted.channel = id_;
  wanted.request_bytes = request_bytes;
  wanted.response_bytes = response_bytes;
  if (session_->connection() != connection_) {
    runner_gone_.store(true);
    return Error{POCKET_UNAVAILABLE, "the service was restarted: open the model again"};
  }
  auto answer = session_->request(std::move(wanted), kGrowthNs);
  if (!answer.ok()) {
    // The service does not know this channel any more, or is gone: it is opened anew.
    if (answer.error().code == POCKET_UNAVAILABLE) runner_gone_.store(true);
    return std::move(answer).error();
  }
  Reply reply = std::move(answer).value();
  const auto* grown = reply.message.body.AsGrown();
  if (grown != nullptr && reply.lost_fds) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 "adding shared memory: this process has no descriptor left: close some files or "
                 "raise its limit (`ulimit -n`)"};
  }
  if (grown == nullptr || reply.fds.size() != 2 || grown->region < region_count_.load() ||
      grown->region >= wire::kMaxRegions) {
    return Error{POCKET_DATA_LOSS, "the service gave another answer than a region"};
  }
  return map_region(grown->region, reply.fds[0], grown->request_bytes, reply.fds[1],
                    grown->response_bytes);
}

void Channel::free_request(const Block& block) {
  MutexLock lock(mutex_);
  request_arena_.free(block);
}

void Channel::free_response(const Block& block) {
  MutexLock lock(mutex_);
  response_arena_.free(block);
}

bool Channel::has_response(uint32_t region, uint64_t offset, uint64_t bytes) const {
  return region < region_count_.load(std::memory_order_acquire) &&
         range_inside(offset, bytes, responses_[region].size());
}

bool Channel::broken() const {
  return runner_gone_.load(std::memory_order_acquire) ||
         response_header()->state.load(std::memory_order_acquire) != wire::kChannelOpen;
}

Result<void> Channel::submit(wire::Submission submission, Pending& pending) {
  {
    MutexLock lock(mutex_);
    if (broken()) return Error{POCKET_UNAVAILABLE, "the runner of the model is gone"};
    drain();
    const uint64_t runner_taken =
        response_header()->submissions_taken.load(std::memory_order_acquire);
    if (free_slots_.empty() || submitted_ - runner_taken >= wire::kRingSlots) {
      return Error{POCKET_BUSY,
                   "256 calls are in flight on this model, the most there can be: wait "
                   "for one"};
    }
    const uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    submission.call_id = ++sequence_ * wire::kRingSlots + slot;
    pending.call_id = submission.call_id;
    pending.given_up = false;
    pending.done.store(false, std::memory_order_relaxed);
    pending_[slot] = &pending;
    auto* slots = reinterpret_cast<wire::Submission*>(requests_[0].data() + wire::kHeaderBytes);
    std::memcpy(&slots[submitted_ % wire::kRingSlots], &submission, sizeof(submission));
    request_header()->submitted.store(++submitted_, std::memory_order_seq_cst);
  }
  // Pairs with the runner, which says that it sleeps and then looks at `submitted` once more.
  if (response_header()->runner_parked.load(std::memory_order_seq_cst) != 0) {
    ipc::ring_doorbell(doorbell_.get());
  }
  return ok_result();
}

void Channel::ask_to_cancel() {
  for (auto& entry : abandoned_) {
    const uint64_t runner_taken =
        response_header()->submissions_taken.load(std::memory_order_acquire);
    // A full ring: later, when the runner has taken something or answered.
    if (broken() || submitted_ - runner_taken >= wire::kRingSlots) return;
    if (entry.asked) continue;
    entry.asked = true;
    unasked_ -= 1;
    wire::Submission submission{};
    submission.opcode = wire::Opcode::kCancel;
    submission.block_offset = entry.call_id;
    auto* slots = reinterpret_cast<wire::Submission*>(requests_[0].data() + wire::kHeaderBytes);
    std::memcpy(&slots[submitted_ % wire::kRingSlots], &submission, sizeof(submission));
    request_header()->submitted.store(++submitted_, std::memory_order_seq_cst);
    if (response_header()->runner_parked.load(std::memory_order_seq_cst) != 0) {
      ipc::ring_doorbell(doorbell_.get());
    }
  }
}

void Channel::give_up(Pending& pending, pocket_status status) {
  uint64_t call_id = 0;
  {
    MutexLock lock(mutex_);
    drain();
    if (pending.done.load(std::memory_order_acquire)) return;
    call_id = pending.call_id;
    pending_[call_id % wire::kRingSlots] = kAbandoned;
    abandoned_.push_back({call_id, false, {}, {}});
    unasked_ += 1;
    ask_to_cancel();
    pending.completion = {};
    pending.completion.call_id = call_id;
    pending.completion.status = status;
    pending.given_up = true;
    pending.done.store(true, std::memory_order_release);
  }
  wake_sleeper(call_id);
}

void Channel::wake_sleeper(uint64_t call_id) {
  // The word that threads sleep on is the runner's, so it cannot be changed here, and one that is
  // just falling asleep may miss a wake-up: it is woken until it is up.
  while (true) {
    {
      MutexLock lock(mutex_);
      if (std::find(sleepers_.begin(), sleepers_.end(), call_id) == sleepers_.end()) return;
    }
    ipc::futex_wake_all(&response_header()->completed_word);
    const timespec moment{0, 20'000};
    ::nanosleep(&moment, nullptr);
  }
}

void Channel::free_after(uint64_t call_id, std::vector<Block> requests,
                         std::vector<Block> responses) {
  MutexLock lock(mutex_);
  const auto found = std::find_if(abandoned_.begin(), abandoned_.end(),
                                  [&](const Abandoned& entry) { return entry.call_id == call_id; });
  if (found != abandoned_.end()) {
    found->requests.insert(found->requests.end(), requests.begin(), requests.end());
    found->responses.insert(found->responses.end(), responses.begin(), responses.end());
    return;
  }
  for (const Block& block : requests) request_arena_.free(block);
  for (const Block& block : responses) response_arena_.free(block);
}

void Channel::free_abandoned(uint64_t call_id) {
  const auto found = std::find_if(abandoned_.begin(), abandoned_.end(),
                                  [&](const Abandoned& entry) { return entry.call_id == call_id; });
  if (found == abandoned_.end()) return;
  for (const Block& block : found->requests) request_arena_.free(block);
  for (const Block& block : found->responses) response_arena_.free(block);
  unasked_ -= found->asked ? 0 : 1;
  abandoned_.erase(found);
}

uint32_t Channel::drain() {
  // Pairs with the runner, which publishes and then looks whether anybody sleeps.
  const uint64_t produced = response_header()->completed.load(std::memory_order_seq_cst);
  uint64_t taken = taken_.load(std::memory_order_relaxed);
  uint32_t count = 0;
  const auto* slots =
      reinterpret_cast<const wire::Completion*>(responses_[0].data() + wire::kHeaderBytes);
  for (; taken != produced && count < wire::kRingSlots; ++taken, ++count) {
    wire::Completion completion;
    std::memcpy(&completion, &slots[taken % wire::kRingSlots], sizeof(completion));
    const auto slot = static_cast<uint32_t>(completion.call_id % wire::kRingSlots);
    Pending* pending = pending_[slot];
    if (pending == kAbandoned) {  // now its memory and its slot can be used again
      pending_[slot] = nullptr;
      free_slots_.push_back(slot);
      free_abandoned(completion.call_id);
      continue;
    }
    if (pending == nullptr || pending->call_id != completion.call_id) continue;
    pending_[slot] = nullptr;
    free_slots_.push_back(slot);
    pending->completion = completion;
    const uint64_t service = completion.queue_ns + completion.compute_ns;
    const uint64_t before =
        std::min<uint64_t>(service_ns_.load(std::memory_order_relaxed), service * 8 + 1000);
    service_ns_.store((before * 3 + service) / 4, std::memory_order_relaxed);
    pending->done.store(true, std::memory_order_release);
  }
  if (count > 0) {
    taken_.store(taken, std::memory_order_relaxed);
    request_header()->completions_taken.store(taken, std::memory_order_release);
  }
  if (unasked_ > 0) ask_to_cancel();
  return count;
}

void Channel::fail_all() {
  for (uint32_t slot = 0; slot < wire::kRingSlots; ++slot) {
    Pending* pending = pending_[slot];
    if (pending == nullptr || pending == kAbandoned) continue;
    pending_[slot] = nullptr;
    free_slots_.push_back(slot);
    pending->completion = {};
    pending->completion.status = POCKET_UNAVAILABLE;
    pending->done.store(true, std::memory_order_release);
  }
}

bool Channel::look(const Pending& pending) {
  if (pending.done.load(std::memory_order_acquire)) return true;
  MutexLock lock(mutex_);
  drain();
  if (!pending.done.load(std::memory_order_acquire) && broken()) {
    drain();  // what was answered before it broke counts
    fail_all();
  }
  return pending.done.load(std::memory_order_acquire);
}

bool Channel::should_spin() const {
  static const bool alone = single_processor();
  if (wait_mode_ == POCKET_WAIT_SPIN) return true;
  if (wait_mode_ == POCKET_WAIT_PARK || alone) return false;
  return service_ns_.load(std::memory_order_relaxed) < kSpinServiceNs;
}

bool Channel::spin(const Pending& pending, uint64_t deadline_ns) {
  const uint64_t now = monotonic_ns();
  uint64_t end = deadline_ns;
  if (wait_mode_ != POCKET_WAIT_SPIN) end = std::min(end, now + kSpinLimitNs);
  uint64_t next_look = now + kLookForRunnerNs;
  while (true) {
    for (int count = 0; count < 256; ++count) {
      if (response_header()->completed.load(std::memory_order_acquire) !=
              taken_.load(std::memory_order_relaxed) ||
          pending.done.load(std::memory_order_acquire)) {
        if (look(pending)) return true;
      }
      pause_processor();
    }
    if (look(pending)) return true;  // also sees a broken channel
    const uint64_t later = monotonic_ns();
    if (later >= end) return false;
    if (later < next_look) continue;
    look_for_runner();
    next_look = later + kLookForRunnerNs;
  }
}

bool Channel::park(Pending& pending, uint64_t deadline_ns) {
  {
    MutexLock lock(mutex_);
    sleepers_.push_back(pending.call_id);
    request_header()->client_parked.store(static_cast<uint32_t>(sleepers_.size()),
                                          std::memory_order_seq_cst);
  }
  bool done = false;
  while (true) {
    const uint32_t word = response_header()->completed_word.load(std::memory_order_seq_cst);
    done = look(pending);
    if (done) break;
    const uint64_t until = std::min(deadline_ns, deadline_after(kLookForRunnerNs));
    if (ipc::futex_wait(&response_header()->completed_word, word, until)) continue;
    if (until == deadline_ns) break;
    look_for_runner();
  }
  {
    MutexLock lock(mutex_);
    sleepers_.erase(std::find(sleepers_.begin(), sleepers_.end(), pending.call_id));
    request_header()->client_parked.store(static_cast<uint32_t>(sleepers_.size()),
                                          std::memory_order_seq_cst);
  }
  return done || look(pending);
}

bool Channel::wait(Pending& pending, uint64_t deadline_ns) {
  if (look(pending)) return true;
  if (should_spin() && spin(pending, deadline_ns)) return true;
  if (monotonic_ns() >= deadline_ns) return false;
  return park(pending, deadline_ns);
}

uint32_t Channel::poll() {
  MutexLock lock(mutex_);
  const uint32_t count = drain();
  if (broken()) fail_all();
  return count;
}

int Channel::notify_fd() {
  request_header()->client_wants_fd.store(1, std::memory_order_seq_cst);
  return notify_.get();
}

void Channel::clear_notify() {
  char bytes[64];
  while (::recv(notify_.get(), bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace pocket::client
