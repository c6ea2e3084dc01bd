// One call as a handler sees it: its request, and where its answer goes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "client_state.h"
#include "message.h"
#include "pocket/engine.h"
#include "pocket/handler.h"
#include "watchdog.h"

namespace pocket::handler_engine {

/// What a HostCall is about; everything outlives it.
struct CallParts {
  const pocket_handler_api* api = nullptr;
  const pocket_engine_host* host = nullptr;  // null: no other models
  const pocket_engine_call* call = nullptr;
  std::span<const pocket_engine_input> inputs;
  std::span<pocket_engine_output> outputs;
  uint64_t deadline_ns = 0;
};

/// One thread, but for the watchdog, which asks whether the call is cancelled.
class HostCall {
 public:
  explicit HostCall(const CallParts& parts);
  HostCall(const HostCall&) = delete;
  HostCall& operator=(const HostCall&) = delete;

  /// For the handler's functions. `request`: the message without its head.
  const pocket_handler_call& view(std::span<const std::byte> request);
  static int32_t is_cancelled(const void* host);

  /// While the handler runs: lets the watchdog know when it waits for a model.
  void set_watch(Watchdog::Watch* watch) { watch_ = watch; }

  /// Gives every output that the handler did not write its place: an empty message, and no tensors.
  /// `head` goes in front of the message. RESOURCE_EXHAUSTED: no room.
  Result<void> finish(const ReplyHeader& head);
  /// Whether an output has room of the client's, but not enough: the client will ask again.
  bool must_be_asked_again() const;
  HeldAnswer copy_answer() const;
  /// Answers with what was held.
  Result<void> give(const HeldAnswer& answer);

 private:
  static void* reply(void* host, size_t bytes);
  static void* tensor(void* host, uint32_t index, int32_t dtype, int32_t rank, const int64_t* shape,
                      size_t bytes);
  static int32_t run_model(void* host, const char* model, const pocket_handler_tensor* inputs,
                           uint32_t input_count, pocket_handler_tensor* outputs,
                           uint32_t output_count, pocket_handler_error* error);
  void* room(uint32_t output, int32_t dtype, std::span<const int64_t> shape, size_t bytes);
  pocket_engine_output* find_output(uint32_t index) const;

  const CallParts parts_;
  pocket_handler_call view_{};
  std::vector<pocket_handler_tensor> tensors_;
  std::vector<void*> places_;  // where each output lies, the message first; null: not written
  std::vector<std::shared_ptr<void>> unwanted_;  // what the client did not ask for is written here
  std::vector<std::shared_ptr<void>> models_;    // answers of models, which this call owns
  Watchdog::Watch* watch_ = nullptr;
};

}  // namespace pocket::handler_engine
