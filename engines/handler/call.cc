#include "call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/clock.h"
#include "tensor/peer.h"

namespace pocket::handler_engine {
namespace {

int32_t fail(pocket_handler_error* error, int32_t status, const std::string& message) {
  if (error != nullptr) {
    fmt::format_to_n(error->message, sizeof(error->message) - 1, "{}", message).out[0] = '\0';
  }
  return status;
}

}  // namespace

HostCall::HostCall(const CallParts& parts)
    : parts_(parts), places_(parts.api->tensors_out + 1, nullptr) {
  for (const auto& input : parts_.inputs) {
    if (input.index == 0) continue;  // the message
    if (tensors_.size() < input.index) tensors_.resize(input.index);
    pocket_handler_tensor& tensor = tensors_[input.index - 1];
    tensor.dtype = input.dtype;
    tensor.rank = input.rank;
    std::copy_n(input.shape, input.rank, tensor.shape);
    tensor.data = input.data;
    tensor.bytes = input.bytes;
  }
}

const pocket_handler_call& HostCall::view(std::span<const std::byte> request) {
  view_.struct_size = sizeof(view_);
  view_.tensor_count = static_cast<uint32_t>(tensors_.size());
  view_.request = request.data();
  view_.request_bytes = request.size();
  view_.tensors = tensors_.data();
  view_.deadline_ns = parts_.deadline_ns;
  view_.host = this;
  view_.cancelled = is_cancelled;
  view_.reply = reply;
  view_.tensor = tensor;
  view_.run_model = run_model;
  return view_;
}

int32_t HostCall::is_cancelled(const void* host) {
  const HostCall& self = *static_cast<const HostCall*>(host);
  const pocket_engine_call& call = *self.parts_.call;
  if (call.cancelled != nullptr && call.cancelled(call.context) != 0) return 1;
  return monotonic_ns() > self.parts_.deadline_ns ? 1 : 0;
}

pocket_engine_output* HostCall::find_output(uint32_t index) const {
  for (auto& output : parts_.outputs) {
    if (output.index == index) return &output;
  }
  return nullptr;
}

void* HostCall::room(uint32_t index, int32_t dtype, std::span<const int64_t> shape, size_t bytes) {
  if (index >= places_.size()) return nullptr;
  const size_t size = pocket_dtype_size(dtype);
  const auto count = element_count(shape);
  if (shape.size() > POCKET_MAX_RANK || !count || (size == 0 && dtype != POCKET_STRING))
    return nullptr;
  const auto least = checked_multiply(dtype == POCKET_STRING ? *count + 1 : *count,
                                      dtype == POCKET_STRING ? sizeof(uint64_t) : size);
  if (!least || (dtype == POCKET_STRING ? bytes < *least : bytes != *least)) return nullptr;
  pocket_engine_output* output = find_output(index);
  if (output == nullptr) {
    return places_[index] = unwanted_.emplace_back(tensor::allocate(bytes)).get();
  }
  output->dtype = dtype;
  output->rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output->shape);
  output->bytes = bytes;
  void* place = output->data;
  if (place == nullptr || output->capacity < bytes) {
    place = output->allocate == nullptr ? nullptr
                                        : output->allocate(output->allocate_context, index, bytes);
  }
  return places_[index] = place;
}

void* HostCall::reply(void* host, size_t bytes) {
  const auto whole = checked_add(bytes, sizeof(ReplyHeader));
  if (!whole || *whole > static_cast<uint64_t>(INT64_MAX)) return nullptr;
  const int64_t shape[] = {static_cast<int64_t>(*whole)};
  void* data = static_cast<HostCall*>(host)->room(0, POCKET_UINT8, shape, *whole);
  return data == nullptr ? nullptr : static_cast<std::byte*>(data) + sizeof(ReplyHeader);
}

void* HostCall::tensor(void* host, uint32_t index, int32_t dtype, int32_t rank,
                       const int64_t* shape, size_t bytes) {
  if (rank < 0 || rank > POCKET_MAX_RANK || index >= POCKET_HANDLER_MAX_TENSORS) return nullptr;
  return static_cast<HostCall*>(host)->room(index + 1, dtype, {shape, static_cast<size_t>(rank)},
                                            bytes);
}

int32_t HostCall::run_model(void* host, const char* model, const pocket_handler_tensor* inputs,
                            uint32_t input_count, pocket_handler_tensor* outputs,
                            uint32_t output_count, pocket_handler_error* error) {
  HostCall& self = *static_cast<HostCall*>(host);
  if (is_cancelled(host) != 0) {
    return fail(error, POCKET_CANCELLED, "nobody waits for the answer any more");
  }
  auto peer = tensor::Peer::find(self.parts_.host, model);
  if (!peer.ok()) return fail(error, peer.error().code, peer.error().message);
  if (output_count > peer->outputs().size() || input_count > peer->inputs().size()) {
    return fail(
        error, POCKET_INVALID_ARGUMENT,
        fmt::format("model '{}' has {} inputs and {} outputs; {} and {} were named", model,
                    peer->inputs().size(), peer->outputs().size(), input_count, output_count));
  }
  std::vector<tensor::Tensor> given(input_count);
  for (uint32_t index = 0; index < input_count; ++index) {
    given[index].dtype = inputs[index].dtype;
    given[index].rank = std::clamp(inputs[index].rank, 0, POCKET_MAX_RANK);
    std::copy_n(inputs[index].shape, given[index].rank, given[index].shape);
    given[index].data = inputs[index].data;
    given[index].bytes = inputs[index].bytes;
  }
  pocket_engine_call call = *self.parts_.call;
  call.deadline_ns = self.parts_.deadline_ns;
  if (self.watch_ != nullptr) self.watch_->set_waiting(true);
  auto ran = peer->run(call, given, output_count);
  if (self.watch_ != nullptr) self.watch_->set_waiting(false);
  if (!ran.ok()) return fail(error, ran.error().code, ran.error().message);
  for (uint32_t index = 0; index < output_count; ++index) {
    const tensor::Tensor& answer = (*ran)[index];
    outputs[index] = {};
    outputs[index].dtype = answer.dtype;
    outputs[index].rank = answer.rank;
    std::copy_n(answer.shape, answer.rank, outputs[index].shape);
    outputs[index].data = answer.data;
    outputs[index].bytes = answer.bytes;
    self.models_.push_back(answer.memory);  // until the call ends
  }
  return POCKET_OK;
}

Result<void> HostCall::finish(const ReplyHeader& head) {
  if (places_[0] == nullptr) reply(this, 0);
  if (places_[0] == nullptr) return Error{POCKET_RESOURCE_EXHAUSTED, "no room for the answer"};
  std::memcpy(places_[0], &head, sizeof(head));
  for (uint32_t index = 1; index < places_.size(); ++index) {
    const int64_t none[] = {0};
    if (places_[index] == nullptr) room(index, POCKET_UINT8, none, 0);
    const pocket_engine_output* output = find_output(index);
    if (output == nullptr || output->dtype != POCKET_STRING) continue;
    // A client, or the next model, may rely on strings being whole.
    tensor::Tensor strings;
    strings.dtype = POCKET_STRING;
    strings.rank = output->rank;
    std::copy_n(output->shape, output->rank, strings.shape);
    strings.data = places_[index];
    strings.bytes = output->bytes;
    if (auto checked = tensor::strings_of(strings); !checked.ok()) {
      return std::move(checked).error().with_context(
          fmt::format("handler '{}' answered a damaged tensor {}", parts_.api->name, index - 1));
    }
  }
  return ok_result();
}

bool HostCall::must_be_asked_again() const {
  return std::any_of(parts_.outputs.begin(), parts_.outputs.end(), [](const auto& output) {
    return output.data != nullptr && output.capacity > 0 && output.bytes > output.capacity;
  });
}

HeldAnswer HostCall::copy_answer() const {
  HeldAnswer answer;
  for (const auto& output : parts_.outputs) {
    HeldAnswer::Output& held = answer.outputs.emplace_back();
    held.index = output.index;
    held.dtype = output.dtype;
    held.rank = output.rank;
    std::copy_n(output.shape, output.rank, held.shape);
    const auto* data = static_cast<const std::byte*>(places_[output.index]);
    held.bytes.assign(data, data + output.bytes);
  }
  return answer;
}

Result<void> HostCall::give(const HeldAnswer& answer) {
  for (const auto& held : answer.outputs) {
    void* place = room(held.index, held.dtype, {held.shape, static_cast<size_t>(held.rank)},
                       held.bytes.size());
    if (place == nullptr) return Error{POCKET_RESOURCE_EXHAUSTED, "no room for the answer"};
    if (!held.bytes.empty()) std::memcpy(place, held.bytes.data(), held.bytes.size());
  }
  for (uint32_t index = 1; index < places_.size(); ++index) {
    const int64_t none[] = {0};
    if (places_[index] == nullptr) room(index, POCKET_UINT8, none, 0);
  }
  return ok_result();
}

}  // namespace pocket::handler_engine
