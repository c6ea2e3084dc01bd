// A reusable slot for running a model: its tensors in shared memory, and its answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "client/model.h"
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

 private:
  struct Input {
    bool set = false;
    Block block;
    wire::TensorRecord record{};
  };
  struct Output {
    bool keep = false;
    Block block;
  };
  Result<void> ready_channel();  // the channel to use; drops what lay in a broken one
  void drop_memory();
  void leave_memory_to_runner();  // what the runner may still write of a call that was given up
  Result<void> check_idle(const char* what) const;
  Result<void> check_input(uint32_t index) const;
  Result<Block> room_for_input(uint32_t index, uint64_t bytes);
  Result<void> reserve();
  Result<void> reserve_output(uint32_t index, uint64_t bytes);
  void write_block();
  Result<void> submit_again();
  Result<void> make_more_room();
  Result<void> result();
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
  Pending pending_;
};

}  // namespace pocket::client
