#include "client/call.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/clock.h"

namespace pocket::client {
namespace {

using wire::TensorRecord;

constexpr uint64_t kErrorTextBytes = 1024;
constexpr uint64_t kDynamicOutputBytes = 4096;  // first guess; grows to what an answer needs
constexpr uint64_t kDestroyWaitNs = 5 * kNanosecondsPerSecond;

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
  if (dtype != expected.dtype) {
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

Call::Call(Model& model)
    : model_(model),
      channel_(model.current_channel()),
      inputs_(model.inputs().size()),
      outputs_(model.outputs().size()) {}

Call::~Call() {
  if (!model_.session().check_process().ok()) {
    new std::shared_ptr<Channel>(std::move(channel_));  // the parent's: left alone
    return;
  }
  if (in_flight_ && !pending_.done.load()) {
    channel_->cancel(pending_);
    if (!channel_->wait(pending_, deadline_after(kDestroyWaitNs))) {
      channel_->abandon(pending_);
      return;  // the runner may still write there: the memory is not used again
    }
  }
  drop_memory();
}

void Call::drop_memory() {
  for (auto& input : inputs_) {
    channel_->free_request(input.block);
    input = Input{};
  }
  for (auto& output : outputs_) {
    channel_->free_response(output.block);
    output.block = Block{};
  }
  channel_->free_request(block_);
  channel_->free_response(table_);
  block_ = table_ = Block{};
  answered_ = false;
}

Result<void> Call::ready_channel() {
  POCKET_ASSIGN_OR_RETURN(auto channel, model_.channel());
  if (channel != channel_) {
    drop_memory();
    channel_ = std::move(channel);
  }
  return ok_result();
}

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

Result<Block> Call::room_for_input(uint32_t index, uint64_t bytes) {
  Input& input = inputs_[index];
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
  POCKET_RETURN_IF_ERROR(ready_channel());
  POCKET_ASSIGN_OR_RETURN(const Block block, room_for_input(index, *bytes));
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
  POCKET_RETURN_IF_ERROR(ready_channel());
  POCKET_ASSIGN_OR_RETURN(const Block block, room_for_input(index, *bytes));
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

Result<void> Call::reserve_output(uint32_t index, uint64_t bytes) {
  Output& output = outputs_[index];
  if (output.block.bytes >= bytes) return ok_result();
  channel_->free_response(output.block);
  output.block = Block{};
  POCKET_ASSIGN_OR_RETURN(output.block, channel_->allocate_response(bytes));
  return ok_result();
}

Result<void> Call::reserve() {
  const size_t records = inputs_.size() + outputs_.size();
  if (block_.bytes == 0) {
    POCKET_ASSIGN_OR_RETURN(block_, channel_->allocate_request(sizeof(wire::CallBlock) +
                                                               records * sizeof(TensorRecord)));
  }
  if (table_.bytes == 0) {
    POCKET_ASSIGN_OR_RETURN(table_, channel_->allocate_response(std::max(
                                        outputs_.size() * sizeof(TensorRecord), kErrorTextBytes)));
  }
  for (uint32_t index = 0; index < outputs_.size(); ++index) {
    if (outputs_[index].keep || outputs_[index].block.bytes > 0) continue;
    const auto& info = model_.outputs()[index];
    const auto bytes = info.rank < 0 ? std::nullopt : tensor_bytes(info.dtype, info.shape);
    POCKET_RETURN_IF_ERROR(
        reserve_output(index, std::max<uint64_t>(bytes.value_or(kDynamicOutputBytes), 1)));
  }
  return ok_result();
}

void Call::write_block() {
  std::byte* data = channel_->request_data(block_);
  wire::CallBlock head{};
  head.input_count = static_cast<uint32_t>(inputs_.size());
  head.output_count = static_cast<uint32_t>(outputs_.size());
  std::memcpy(data, &head, sizeof(head));
  data += sizeof(head);
  for (const auto& input : inputs_) {
    std::memcpy(data, &input.record, sizeof(TensorRecord));
    data += sizeof(TensorRecord);
  }
  for (uint32_t index = 0; index < outputs_.size(); ++index) {
    TensorRecord record{};
    record.index = index;
    record.flags = outputs_[index].keep ? static_cast<uint32_t>(wire::kTensorByHandle) : 0;
    record.region = outputs_[index].block.region;
    record.offset = outputs_[index].block.offset;
    record.bytes = outputs_[index].keep ? 0 : outputs_[index].block.bytes;
    std::memcpy(data, &record, sizeof(TensorRecord));
    data += sizeof(TensorRecord);
  }
}

Result<void> Call::submit(uint64_t deadline_ns) {
  POCKET_RETURN_IF_ERROR(check_idle("submitting"));
  if (channel_->broken()) {
    POCKET_RETURN_IF_ERROR(ready_channel());
    if (!inputs_.empty()) {
      return Error{
          POCKET_UNAVAILABLE,
          "model '" + model_.name() + "' had to be opened anew: set the inputs and submit again"};
    }
  }
  for (uint32_t index = 0; index < inputs_.size(); ++index) {
    if (!inputs_[index].set) {
      return invalid("input '" + model_.inputs()[index].name + "' is not set");
    }
  }
  POCKET_RETURN_IF_ERROR(reserve());
  write_block();
  wire::Submission submission{};
  submission.opcode = wire::Opcode::kRun;
  submission.block_region = block_.region;
  submission.block_offset = block_.offset;
  submission.block_bytes = static_cast<uint32_t>(
      sizeof(wire::CallBlock) + (inputs_.size() + outputs_.size()) * sizeof(TensorRecord));
  submission.deadline_ns = deadline_ns;
  submission.table_region = table_.region;
  submission.table_offset = table_.offset;
  submission.table_bytes = static_cast<uint32_t>(table_.bytes);
  deadline_ns_ = deadline_ns;
  answered_ = false;
  cancelled_.store(false);
  POCKET_RETURN_IF_ERROR(channel_->submit(submission, pending_));
  in_flight_ = true;
  return ok_result();
}

/// The outputs did not fit: makes the room that the answer asks for, and asks again.
Result<void> Call::make_more_room() {
  for (uint32_t index = 0; index < outputs_.size(); ++index) {
    if (outputs_[index].keep) continue;
    POCKET_ASSIGN_OR_RETURN(const TensorRecord record, answered_record(index));
    POCKET_RETURN_IF_ERROR(reserve_output(index, std::max<uint64_t>(record.bytes, 1)));
  }
  return submit(deadline_ns_);
}

Result<void> Call::wait(uint64_t deadline_ns) {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  if (!in_flight_ && !answered_) {
    return Error{POCKET_FAILED_PRECONDITION, "waiting: the call was not submitted"};
  }
  while (in_flight_) {
    if (!channel_->wait(pending_, deadline_ns)) {
      return Error{POCKET_DEADLINE_EXCEEDED,
                   "the answer did not come in time; the call is still in flight"};
    }
    in_flight_ = false;
    answered_ = true;
    if (pending_.completion.status == POCKET_OUTPUT_TOO_SMALL && !cancelled_.load()) {
      POCKET_RETURN_IF_ERROR(make_more_room());
    }
  }
  return result();
}

bool Call::done() {
  if (!in_flight_) return true;
  channel_->poll();
  if (!pending_.done.load()) return false;
  // An answer that did not fit is asked for again; the call is not done then.
  if (pending_.completion.status != POCKET_OUTPUT_TOO_SMALL || cancelled_.load()) return true;
  in_flight_ = false;
  answered_ = true;
  return !make_more_room().ok();
}

Result<void> Call::cancel() {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  cancelled_.store(true);
  channel_->cancel(pending_);
  return ok_result();
}

Result<void> Call::result() {
  const wire::Completion& completion = pending_.completion;
  if (cancelled_.load()) return Error{POCKET_CANCELLED, "the call was cancelled"};
  if (completion.status == POCKET_OK) return ok_result();
  auto code = static_cast<pocket_status>(completion.status);
  std::string message;
  const uint64_t bytes = std::min<uint64_t>(completion.table_bytes, table_.bytes);
  if (bytes > 0 && channel_->has_response(table_.region, table_.offset, bytes)) {
    message.assign(
        reinterpret_cast<const char*>(channel_->response_data(table_.region, table_.offset)),
        bytes);
  } else if (code == POCKET_UNAVAILABLE) {
    message = "the runner of model '" + model_.name() +
              "' ended while the call was in flight; it starts again by itself: try again";
  } else {
    message = std::string("the call failed: ") + pocket_status_name(completion.status);
  }
  return Error{code, std::move(message)};
}

Result<TensorRecord> Call::answered_record(uint32_t index) {
  if (index >= outputs_.size()) {
    return Error{POCKET_NOT_FOUND, "the model has no output " + std::to_string(index)};
  }
  const wire::Completion& completion = pending_.completion;
  const bool has_table =
      completion.status == POCKET_OK || completion.status == POCKET_OUTPUT_TOO_SMALL;
  if (in_flight_ || !answered_ || !has_table ||
      (index + 1) * sizeof(TensorRecord) >
          std::min<uint64_t>(completion.table_bytes, table_.bytes)) {
    return Error{POCKET_FAILED_PRECONDITION,
                 "the call has no answer: submit it and wait for success"};
  }
  TensorRecord record;
  std::memcpy(&record,
              channel_->response_data(table_.region, table_.offset + index * sizeof(TensorRecord)),
              sizeof(record));
  return record;
}

Result<pocket_tensor> Call::output(uint32_t index) {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  POCKET_ASSIGN_OR_RETURN(const TensorRecord record, answered_record(index));
  if ((record.flags & wire::kTensorByHandle) != 0) {
    return Error{POCKET_FAILED_PRECONDITION, "the output was kept by the runner: use its handle"};
  }
  const bool sane = record.rank >= 0 && record.rank <= POCKET_MAX_RANK &&
                    channel_->has_response(record.region, record.offset, record.bytes) &&
                    record.bytes <= outputs_[index].block.bytes;
  if (!sane) return Error{POCKET_DATA_LOSS, "the runner answered an impossible tensor"};
  pocket_tensor tensor{};
  tensor.dtype = record.dtype;
  tensor.rank = record.rank;
  std::copy_n(record.shape, record.rank, tensor.shape);
  tensor.data = const_cast<std::byte*>(channel_->response_data(record.region, record.offset));
  tensor.bytes = record.bytes;
  return tensor;
}

Result<uint64_t> Call::output_handle(uint32_t index) {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  POCKET_ASSIGN_OR_RETURN(const TensorRecord record, answered_record(index));
  if ((record.flags & wire::kTensorByHandle) != 0) return record.handle;
  return Error{POCKET_FAILED_PRECONDITION, "the output was not kept: ask for it before submitting"};
}

Result<pocket_receipt> Call::receipt() const {
  if (in_flight_ || !answered_) {
    return Error{POCKET_FAILED_PRECONDITION, "the call has no answer yet"};
  }
  pocket_receipt receipt{};
  receipt.queue_ns = pending_.completion.queue_ns;
  receipt.compute_ns = pending_.completion.compute_ns;
  return receipt;
}

}  // namespace pocket::client
