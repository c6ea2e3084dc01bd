// What goes into a call: its inputs and which outputs the runner keeps.
#include <algorithm>
#include <cstring>
#include <ctime>

#include "base/checked.h"
#include "base/clock.h"
#include "client/call.h"

namespace pocket::client {
namespace {

using wire::TensorRecord;

std::string shape_text(std::span<const int64_t> shape) {
  std::string text;
  for (int64_t size : shape) {
    text += (text.empty() ? "" : ", ") + (size < 0 ? std::string("?") : std::to_string(size));
  }
  return "[" + text + "]";
}

Error invalid(std::string message) { return Error{POCKET_INVALID_ARGUMENT, std::move(message)}; }

/// The same rules the runner has, told before anything is sent.
Result<void> check_tensor(const wire::control::TensorInfoT& expected, int32_t dtype,
                          std::span<const int64_t> shape) {
  if (dtype != expected.dtype && expected.dtype != POCKET_DTYPE_UNDEFINED) {
    return invalid("input '" + expected.name + "' must be " + pocket_dtype_name(expected.dtype) +
                   ", " + pocket_dtype_name(dtype) + " was given");
  }
  bool fits = expected.rank < 0 || shape.size() == expected.shape.size();
  for (size_t axis = 0; fits && expected.rank >= 0 && axis < shape.size(); ++axis) {
    fits = expected.shape[axis] < 0 || expected.shape[axis] == shape[axis];
  }
  if (fits) return ok_result();
  return invalid("input '" + expected.name + "' must have shape " + shape_text(expected.shape) +
                 ", " + shape_text(shape) + " was given");
}

}  // namespace

Result<void> Call::check_idle(const char* what) const {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  if (!in_flight_) return ok_result();
  return Error{POCKET_FAILED_PRECONDITION,
               std::string(what) + ": the call is in flight; wait for it first"};
}

Result<void> Call::check_input(uint32_t index) const {
  if (index < inputs_.size()) return ok_result();
  return Error{POCKET_NOT_FOUND, "model '" + model_.name() + "' has " +
                                     std::to_string(inputs_.size()) +
                                     " inputs; there is no input " + std::to_string(index)};
}

Result<void> Call::clear_input(uint32_t index) {
  POCKET_RETURN_IF_ERROR(check_idle("clearing an input"));
  POCKET_RETURN_IF_ERROR(check_input(index));
  inputs_[index].set = false;  // its room stays for the next time
  return ok_result();
}

/// On a channel that works: opened anew, and tried again, where the one there was does not.
Result<Block> Call::place_input(uint32_t index, uint64_t bytes) {
  Retry retry;
  retry.begin(kForever);
  while (true) {
    auto ready = ready_channel();
    auto block = ready.ok() ? room_for_input(index, bytes) : Result<Block>(ready.error());
    if (block.ok() || !model_.session().retries()) return block;
    const auto pause = retry.pause_ns(block.error(), model_.session().nobody_answers());
    if (!pause) return block;
    const timespec moment{0, static_cast<long>(*pause)};
    ::nanosleep(&moment, nullptr);
  }
}

Result<Block> Call::room_for_input(uint32_t index, uint64_t bytes) {
  Input& input = inputs_[index];
  forget_home(input);
  if (input.block.bytes >= std::max<uint64_t>(bytes, 1)) return input.block;
  channel_->free_request(input.block);
  input.block = Block{};
  input.set = false;
  POCKET_ASSIGN_OR_RETURN(input.block, channel_->allocate_request(bytes));
  return input.block;
}

Result<pocket_tensor> Call::set_input(uint32_t index, int32_t dtype,
                                      std::span<const int64_t> shape) {
  POCKET_RETURN_IF_ERROR(check_idle("setting an input"));
  POCKET_RETURN_IF_ERROR(check_input(index));
  if (dtype == POCKET_STRING)
    return invalid("string inputs are set with pocket_call_input_strings");
  POCKET_RETURN_IF_ERROR(check_tensor(model_.inputs()[index], dtype, shape));
  const auto bytes = tensor_bytes(dtype, shape);
  if (!bytes) return invalid("shape " + shape_text(shape) + " is negative or too large");
  POCKET_ASSIGN_OR_RETURN(const Block block, place_input(index, *bytes));
  Input& input = inputs_[index];
  input.set = true;
  input.record = TensorRecord{};
  input.record.index = index;
  input.record.dtype = dtype;
  input.record.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), input.record.shape);
  input.record.region = block.region;
  input.record.offset = block.offset;
  input.record.bytes = *bytes;
  pocket_tensor tensor{};
  tensor.dtype = dtype;
  tensor.rank = input.record.rank;
  std::copy(shape.begin(), shape.end(), tensor.shape);
  tensor.data = channel_->request_data(block);
  tensor.bytes = *bytes;
  return tensor;
}

Result<void> Call::set_strings(uint32_t index, std::span<const int64_t> shape,
                               const char* const* strings, const size_t* lengths) {
  POCKET_RETURN_IF_ERROR(check_idle("setting an input"));
  POCKET_RETURN_IF_ERROR(check_input(index));
  POCKET_RETURN_IF_ERROR(check_tensor(model_.inputs()[index], POCKET_STRING, shape));
  const auto count = element_count(shape);
  auto bytes = count ? checked_multiply(*count + 1, sizeof(uint64_t)) : std::nullopt;
  for (uint64_t element = 0; bytes && element < *count; ++element) {
    bytes = checked_add(*bytes, lengths[element]);
  }
  if (!bytes) return invalid("shape " + shape_text(shape) + " is negative or too large");
  POCKET_ASSIGN_OR_RETURN(const Block block, place_input(index, *bytes));
  auto* offsets = reinterpret_cast<uint64_t*>(channel_->request_data(block));
  auto* text = reinterpret_cast<char*>(offsets + *count + 1);
  uint64_t offset = 0;
  offsets[0] = 0;
  for (uint64_t element = 0; element < *count; ++element) {
    std::memcpy(text + offset, strings[element], lengths[element]);
    offset += lengths[element];
    offsets[element + 1] = offset;
  }
  Input& input = inputs_[index];
  input.set = true;
  input.record = TensorRecord{};
  input.record.index = index;
  input.record.dtype = POCKET_STRING;
  input.record.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), input.record.shape);
  input.record.region = block.region;
  input.record.offset = block.offset;
  input.record.bytes = *bytes;
  return ok_result();
}

Result<void> Call::set_input_handle(uint32_t index, uint64_t handle) {
  POCKET_RETURN_IF_ERROR(check_idle("setting an input"));
  POCKET_RETURN_IF_ERROR(check_input(index));
  POCKET_RETURN_IF_ERROR(ready_channel());
  Input& input = inputs_[index];
  input.set = true;
  input.record = TensorRecord{};
  input.record.index = index;
  input.record.flags = wire::kTensorByHandle;
  input.record.handle = handle;
  return ok_result();
}

Result<void> Call::keep_output(uint32_t index, bool keep) {
  POCKET_RETURN_IF_ERROR(check_idle("choosing an output"));
  if (index >= outputs_.size()) {
    return Error{POCKET_NOT_FOUND, "the model has no output " + std::to_string(index)};
  }
  outputs_[index].keep = keep;
  return ok_result();
}

}  // namespace pocket::client
