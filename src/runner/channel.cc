#include "runner/channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "ipc/liveness.h"
#include "ipc/region.h"

namespace pocket::runner {

Result<void> Channel::add_region(uint32_t region, const UniqueFd& request, uint64_t request_bytes,
                                 const UniqueFd& response, uint64_t response_bytes) {
  if (region != region_count_.load() || region >= wire::kMaxRegions) {
    return Error{POCKET_INVALID_ARGUMENT, "regions must be added in order"};
  }
  POCKET_RETURN_IF_ERROR(ipc::verify_region(request.get(), request_bytes));
  POCKET_RETURN_IF_ERROR(ipc::verify_region(response.get(), response_bytes));
  POCKET_ASSIGN_OR_RETURN(requests_[region],
                          Mapping::map(request.get(), request_bytes, MapAccess::kReadOnly));
  POCKET_ASSIGN_OR_RETURN(responses_[region],
                          Mapping::map(response.get(), response_bytes, MapAccess::kReadWrite));
  region_count_.store(region + 1, std::memory_order_release);
  return ok_result();
}

wire::RegionSizes Channel::sizes() const {
  wire::RegionSizes sizes;
  const uint32_t count = region_count_.load(std::memory_order_acquire);
  for (uint32_t region = 0; region < count; ++region) {
    sizes.request[region] = requests_[region].size();
    sizes.response[region] = responses_[region].size();
  }
  return sizes;
}

void Channel::describe(wire::control::RunnerChannelT& entry) const {
  entry.channel = parts_.id;
  entry.session = parts_.session;
  entry.model = parts_.model_number;
  entry.slot = parts_.slot;
  entry.regions = region_count_.load();
  for (uint32_t region = 0; region < entry.regions; ++region) {
    entry.bytes += requests_[region].size() + responses_[region].size();
  }
  // One that its client never got, because pocketd died on the way, has nobody at the other end.
  entry.client_gone = ipc::other_end_is_closed(parts_.notify.get());
}

bool Channel::has_work() const {
  return request_header()->submitted.load(std::memory_order_seq_cst) !=
         taken_hint_.load(std::memory_order_relaxed);
}

bool Channel::take(wire::Submission& submission) {
  MutexLock lock(intake_mutex_);
  if (closed()) return false;
  const uint64_t produced = request_header()->submitted.load(std::memory_order_acquire);
  if (produced == taken_) return false;
  // In this order: what the client says it took was there before.
  const uint64_t client_taken = request_header()->completions_taken.load(std::memory_order_acquire);
  const uint64_t completed = completed_.load(std::memory_order_acquire);
  if (wire::check_produced(produced, taken_) == wire::RingCheck::kImpossible ||
      wire::check_consumed(client_taken, client_taken_, completed) ==
          wire::RingCheck::kImpossible) {
    close(/*tell=*/true);
    return false;
  }
  client_taken_ = client_taken;
  const auto* slots =
      reinterpret_cast<const wire::Submission*>(request_data(0, wire::kHeaderBytes));
  std::memcpy(&submission, &slots[taken_ % wire::kRingSlots], sizeof(submission));
  // The copy is made once: the compiler must not read the slot again later.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // Each taken submission has its completion slot reserved: the ring can never overrun.
  if (submission.opcode != wire::Opcode::kCancel && owed_ - client_taken_ >= wire::kRingSlots) {
    return false;
  }
  taken_ += 1;
  taken_hint_.store(taken_, std::memory_order_relaxed);
  if (submission.opcode != wire::Opcode::kCancel) {
    owed_ += 1;
    calls.fetch_add(1);
    if (lends()) parts_.board->call_taken(parts_.slot);
  }
  response_header()->submissions_taken.store(taken_, std::memory_order_release);
  return true;
}

uint64_t Channel::rang_in_vain() {
  MutexLock lock(intake_mutex_);
  // What the client writes is believed only as far as the runner's own numbers go, so that it
  // cannot make progress for ever.
  const auto* header = request_header();
  const uint64_t submitted =
      std::min(header->submitted.load(std::memory_order_relaxed), taken_ + wire::kRingSlots);
  const uint64_t given = completed_.load(std::memory_order_relaxed);
  return bell_.rang(submitted +
                    std::min(header->completions_taken.load(std::memory_order_relaxed), given));
}

void Channel::heard_again() {
  MutexLock lock(intake_mutex_);
  bell_.heard_again();
}

uint32_t Channel::write_table(const wire::Submission& submission, const Outcome& outcome) {
  const wire::ResponseRoom room = wire::table_room(submission, sizes());
  if (room.bytes == 0) return 0;
  const void* from = outcome.message.data();
  uint64_t bytes = outcome.message.size();
  if (outcome.status == POCKET_OK || outcome.status == POCKET_OUTPUT_TOO_SMALL) {
    from = outcome.table.data();
    bytes = outcome.table.size() * sizeof(wire::TensorRecord);
  }
  bytes = std::min(bytes, room.bytes);
  if (bytes > 0) std::memcpy(response_data(room.region, room.offset), from, bytes);
  return static_cast<uint32_t>(bytes);
}

void Channel::complete(const wire::Submission& submission, const Outcome& outcome) {
  const bool loan = lends() && !outcome.loan_is_home;
  Board::Lent lent;
  if (loan) {
    lent = parts_.board->lent(parts_.slot);
    parts_.board->before_answer(parts_.slot);
  }
  if (!closed()) publish(submission, outcome, lent);
  calls.fetch_sub(1);
  if (loan) parts_.board->call_answered(parts_.slot);
}

void Channel::give_loan_back() {
  if (lends()) parts_.board->call_dropped(parts_.slot);
}

void Channel::drop_call() {
  calls.fetch_sub(1);
  if (lends()) parts_.board->call_dropped(parts_.slot);
}

void Channel::publish(const wire::Submission& submission, const Outcome& outcome,
                      const Board::Lent& lent) {
  wire::Completion completion{};
  completion.call_id = submission.call_id;
  completion.status = outcome.status;
  completion.table_bytes = write_table(submission, outcome);
  completion.queue_ns = outcome.queue_ns;
  completion.compute_ns = outcome.compute_ns;
  completion.needed_bytes = outcome.needed_bytes;
  completion.cpu_ns = outcome.cpu_ns;
  completion.lent_cpu = lent.cpu;
  completion.borrowed_cpu = lent.borrowed_cpu;
  completion.lent_memory_pages = lent.memory_pages;
  completion.retry_after_us =
      static_cast<uint32_t>(std::min<uint64_t>(outcome.retry_after_ns / 1000, UINT32_MAX));
  {
    MutexLock lock(completion_mutex_);
    const uint64_t position = completed_.load(std::memory_order_relaxed);
    auto* slots = reinterpret_cast<wire::Completion*>(response_data(0, wire::kHeaderBytes));
    std::memcpy(&slots[position % wire::kRingSlots], &completion, sizeof(completion));
    completed_.store(position + 1, std::memory_order_release);
    response_header()->completed.store(position + 1, std::memory_order_seq_cst);
  }
  // Pairs with the client, which says that it sleeps and then looks at `completed` once more: with
  // both sides sequentially consistent, one of them sees the other.
  if (request_header()->client_parked.load(std::memory_order_seq_cst) != 0) {
    response_header()->completed_word.fetch_add(1, std::memory_order_seq_cst);
    ipc::futex_wake_all(&response_header()->completed_word);
  }
  if (request_header()->client_wants_fd.load(std::memory_order_relaxed) != 0) {
    // Never waits: a full socket is readable already.
    const char byte = 1;
    (void)::send(parts_.notify.get(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void Channel::close(bool tell) {
  if (closed_.exchange(true) || !tell) return;
  response_header()->state.store(wire::kChannelBroken, std::memory_order_seq_cst);
  response_header()->completed_word.fetch_add(1, std::memory_order_seq_cst);
  ipc::futex_wake_all(&response_header()->completed_word);
}

void Channel::set_parked(bool parked) {
  response_header()->runner_parked.store(parked ? 1 : 0, std::memory_order_seq_cst);
}

}  // namespace pocket::runner
