// Sending a call again: what to do with its inputs when a runner is gone, and when to try.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/clock.h"
#include "client/call.h"

namespace pocket::client {

void Call::forget_home(Input& input) {
  if (input.home != nullptr) input.home->free_request(input.home_block);
  input.home.reset();
  input.home_block = Block{};
}

void Call::leave_channel() {
  for (auto& input : inputs_) {
    if (input.home == nullptr && input.block.bytes > 0) {
      input.home = channel_;
      input.home_block = std::exchange(input.block, Block{});
    }
    channel_->free_request(std::exchange(input.block, Block{}));
    // What the runner kept is gone with it.
    if ((input.record.flags & wire::kTensorByHandle) != 0) input = Input{};
  }
  for (auto& output : outputs_) channel_->free_response(std::exchange(output.block, Block{}));
  channel_->free_request(std::exchange(block_, Block{}));
  channel_->free_response(std::exchange(table_, Block{}));
  answered_ = false;
}

/// Copies what the caller wrote into the memory of a channel that broke.
Result<void> Call::bring_inputs() {
  for (auto& input : inputs_) {
    if (input.home == nullptr) continue;
    if (input.block.bytes == 0) {
      POCKET_ASSIGN_OR_RETURN(
          input.block, channel_->allocate_request(std::max<uint64_t>(input.record.bytes, 1)));
    }
    input.record.region = input.block.region;
    input.record.offset = input.block.offset;
    std::memcpy(channel_->request_data(input.block), input.home->request_data(input.home_block),
                input.record.bytes);
  }
  return ok_result();
}

/// What has come in is the answer, unless it must be asked for again.
void Call::take_answer() {
  in_flight_ = false;
  answered_ = true;
  if (pending_.given_up) leave_memory_to_runner();
  if (cancelled_.load() || pending_.completion.status == POCKET_OK) return;
  std::optional<Error> why;
  if (pending_.completion.status == POCKET_OUTPUT_TOO_SMALL) {
    auto made = make_more_room();
    if (made.ok()) return;
    why = std::move(made).error();
    refused_ = why;
  } else {
    why = failure();
  }
  if (channel_->broken()) retry_.count_death();
  if (!may_resend(*why)) return;
  send_later(std::move(*why));
  // A full queue says when there may be room.
  not_before_ns_ = monotonic_ns() + uint64_t{pending_.completion.retry_after_us} * 1000;
}

void Call::send_later(Error why) {
  resend_because_ = std::move(why);
  resend_at_ns_ = 0;
  not_before_ns_ = 0;
  in_flight_ = true;
}

bool Call::may_resend(const Error& why) const {
  if (!model_.session().retries() || pocket_status_is_retryable(why.code) == 0) return false;
  // Tensors that were kept by a runner that is gone cannot be sent again.
  return std::none_of(inputs_.begin(), inputs_.end(), [](const Input& input) {
    return (input.record.flags & wire::kTensorByHandle) != 0;
  });
}

Error Call::give_up_resending() {
  Error why = std::move(*resend_because_);
  in_flight_ = false;
  resend_because_.reset();
  if (monotonic_ns() < deadline_ns_) return why;
  return Error{POCKET_DEADLINE_EXCEEDED,
               "the deadline passed while the call was to be sent again because " + why.message};
}

Result<bool> Call::resend(uint64_t deadline_ns) {
  // Slices, so that a cancel is noticed while a model is loaded anew; longer each time, because
  // each leaves a request behind that the service answers later.
  uint64_t slice_ns = kNanosecondsPerSecond;
  constexpr uint64_t kNapNs = 5'000'000;
  constexpr uint64_t kShortestNs = 50'000'000;
  while (!cancelled_.load()) {
    if (resend_at_ns_ == 0) {
      const auto pause = retry_.pause_ns(*resend_because_, model_.session().nobody_answers());
      if (!pause) return give_up_resending();
      resend_at_ns_ = std::min(std::max(monotonic_ns() + *pause, not_before_ns_), deadline_ns_);
    }
    // Also where the caller does not want to wait at all: whoever asks again and again gets there.
    for (uint64_t now = monotonic_ns(); now < resend_at_ns_; now = monotonic_ns()) {
      const timespec nap{0, static_cast<long>(std::min(resend_at_ns_ - now, kNapNs))};
      ::nanosleep(&nap, nullptr);
      if (cancelled_.load() || monotonic_ns() >= std::max(deadline_ns, resend_at_ns_)) break;
      if (monotonic_ns() >= deadline_ns) return false;
    }
    if (cancelled_.load()) return false;
    resend_at_ns_ = 0;
    const uint64_t left = deadline_ns - std::min(monotonic_ns(), deadline_ns);
    auto ready = ready_channel(std::clamp(left, kShortestNs, slice_ns));
    if (!ready.ok() && ready.error().code == POCKET_DEADLINE_EXCEEDED) {
      if (monotonic_ns() >= deadline_ns) return false;
      slice_ns = std::min(slice_ns * 2, 32 * kNanosecondsPerSecond);
      continue;  // it is still being loaded
    }
    if (ready.ok()) ready = submit_again();
    if (ready.ok()) {
      retry_.count();
      resend_because_.reset();
      // A cancel() that came between the two submissions found nothing to cancel.
      if (cancelled_.load()) channel_->give_up(pending_, POCKET_CANCELLED);
      return true;
    }
    resend_because_ = std::move(ready).error();
  }
  return false;
}

}  // namespace pocket::client
