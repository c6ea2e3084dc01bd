// A reusable slot for running a model: its tensors in shared memory, and its answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "client/model.h"
#include "client/retry.h"
#include "pocket/pocket.h"

namespace pocket::client {

/// One thread at a time, except cancel(). Submitting again and again allocates nothing and, while
/// both sides spin, makes no system call.
class Call {
 public:
  explicit Call(Model& model);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Result<pocket_tensor> set_input(uint32_t index, int32_t dtype, std::span<const int64_t> shape);
  Result<void> set_strings(uint32_t index, std::span<const int64_t> shape,
                           const char* const* strings, const size_t* lengths);
  Result<void> set_input_handle(uint32_t index, uint64_t handle);
  /// As if the input had never been set.
  Result<void> clear_input(uint32_t index);
  Result<void> keep_output(uint32_t index, bool keep);

  /// `deadline_ns` (CLOCK_MONOTONIC): from then on the call is answered with DEADLINE_EXCEEDED,
  /// whether the runner has started it or not.
  Result<void> submit(uint64_t deadline_ns);
  /// The call's own result; DEADLINE_EXCEEDED when `deadline_ns` came first.
  Result<void> wait(uint64_t deadline_ns);
  bool done();
  /// Any thread. The call is answered with CANCELLED at once, also when it runs already.
  Result<void> cancel();

  Result<pocket_tensor> output(uint32_t index);
  Result<uint64_t> output_handle(uint32_t index);
  Result<pocket_receipt> receipt() const;
  /// How often the submission was sent again because a runner or the service had gone away.
  uint32_t retries() const { return retry_.made(); }

 private:
  struct Input {
    bool set = false;
    Block block;
    wire::TensorRecord record{};
    // Where the caller writes it, when that is the memory of a channel that broke: it is copied
    // from there for each submission, until the input is set again.
    std::shared_ptr<Channel> home;
    Block home_block;
  };
  struct Output {
    bool keep = false;
    Block block;
  };
  Result<void> ready_channel(uint64_t timeout_ns = kForever);  // the channel to use
  void leave_channel();  // keeps the inputs where they lie, drops the rest
  void forget_home(Input& input);
  Result<void> bring_inputs();
  void drop_memory();
  void leave_memory_to_runner();  // what the runner may still write of a call that was given up
  Result<void> check_idle(const char* what) const;
  Result<void> check_input(uint32_t index) const;
  Result<Block> place_input(uint32_t index, uint64_t bytes);
  Result<Block> room_for_input(uint32_t index, uint64_t bytes);
  Result<void> reserve();
  Result<void> reserve_output(uint32_t index, uint64_t bytes);
  uint32_t write_block();  // its bytes
  Result<void> submit_again();
  Result<void> make_more_room();
  void take_answer();
  Result<void> result();
  bool may_resend(const Error& why) const;
  Error failure();  // of the answer that is here
  /// Sends the call again, waiting between attempts, up to `deadline_ns`: true when it is in
  /// flight, false when the time was too short and it is to be tried again later.
  Result<bool> resend(uint64_t deadline_ns);
  void send_later(Error why);
  Error give_up_resending();
  Result<wire::TensorRecord> answered_record(uint32_t index) const;

  Model& model_;
  Mutex channel_mutex_;               // only for cancel(), which runs beside the owner
  std::shared_ptr<Channel> channel_;  // changed by the owner, under channel_mutex_
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  Block block_;  // of the CallBlock
  Block table_;  // of the result table
  uint64_t deadline_ns_ = 0;
  bool in_flight_ = false;
  bool answered_ = false;
  std::atomic<bool> cancelled_{false};
  Retry retry_;
  std::optional<Error> refused_;         // the room for the outputs was
  uint64_t not_before_ns_ = 0;           // as the runner asked
  uint64_t resend_at_ns_ = 0;            // 0: not decided yet
  std::optional<Error> resend_because_;  // in flight, but with no runner: to be sent again
  Pending pending_;
};

}  // namespace pocket::client
