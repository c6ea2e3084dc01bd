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
  resend_because_ = std::move(why);
  in_flight_ = true;
}

bool Call::may_resend(const Error& why) const {
  if (!model_.session().retries() || pocket_status_is_retryable(why.code) == 0) return false;
  // Tensors that were kept by a runner that is gone cannot be sent again.
  return std::none_of(inputs_.begin(), inputs_.end(), [](const Input& input) {
    return (input.record.flags & wire::kTensorByHandle) != 0;
  });
}

Result<bool> Call::resend(uint64_t deadline_ns) {
  // Slices, so that a cancel and the deadline are noticed while a model is loaded anew.
  constexpr uint64_t kSliceNs = kNanosecondsPerSecond;
  constexpr uint64_t kNapNs = 5'000'000;
  while (!cancelled_.load()) {
    const Error why = *resend_because_;
    const auto pause = retry_.pause_ns(why, model_.session().nobody_answers());
    if (!pause) {
      in_flight_ = false;
      resend_because_.reset();
      if (monotonic_ns() < deadline_ns_) return why;
      return Error{
          POCKET_DEADLINE_EXCEEDED,
          "the deadline passed while the call was to be sent again because " + why.message};
    }
    for (uint64_t end = monotonic_ns() + *pause, now = 0; (now = monotonic_ns()) < end;) {
      if (cancelled_.load()) return false;
      if (now >= deadline_ns) return false;
      const timespec nap{0, static_cast<long>(std::min({end - now, kNapNs, deadline_ns - now}))};
      ::nanosleep(&nap, nullptr);
    }
    const uint64_t now = monotonic_ns();
    const uint64_t left = deadline_ns - std::min(now, deadline_ns);
    auto ready = ready_channel(std::min(left, kSliceNs));
    if (!ready.ok() && ready.error().code == POCKET_DEADLINE_EXCEEDED) {
      if (monotonic_ns() >= deadline_ns) return false;
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
