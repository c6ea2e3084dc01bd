#include "client/call.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/clock.h"

namespace pocket::client {
namespace {

using wire::TensorRecord;

constexpr uint64_t kErrorTextBytes = 1024;
constexpr uint64_t kDynamicOutputBytes = 4096;  // first guess; grows to what an answer needs

Error still_in_flight() {
  return Error{POCKET_DEADLINE_EXCEEDED,
               "the answer did not come in time; the call is still in flight: wait again or "
               "cancel it"};
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
  if (in_flight_) {
    channel_->give_up(pending_, POCKET_CANCELLED);
    if (pending_.given_up) leave_memory_to_runner();
  }
  drop_memory();
}

void Call::leave_memory_to_runner() {
  std::vector<Block> responses = {table_};
  for (auto& output : outputs_) responses.push_back(std::exchange(output.block, Block{}));
  channel_->free_after(pending_.call_id, {block_}, std::move(responses));
  block_ = table_ = Block{};
}

void Call::drop_memory() {
  for (auto& input : inputs_) {
    forget_home(input);
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

Result<void> Call::ready_channel(uint64_t timeout_ns) {
  POCKET_ASSIGN_OR_RETURN(auto channel, model_.channel(timeout_ns));
  if (channel != channel_) {
    leave_channel();
    MutexLock lock(channel_mutex_);
    channel_ = std::move(channel);
  }
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

uint32_t Call::write_block() {
  std::byte* data = channel_->request_data(block_);
  wire::CallBlock head{};
  head.input_count =
      static_cast<uint32_t>(std::count_if(inputs_.begin(), inputs_.end(), [](const Input& input) {
        return input.set;  // an input of any type may be left out
      }));
  head.output_count = static_cast<uint32_t>(outputs_.size());
  std::memcpy(data, &head, sizeof(head));
  data += sizeof(head);
  for (const auto& input : inputs_) {
    if (!input.set) continue;
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
  return static_cast<uint32_t>(sizeof(head) +
                               (head.input_count + head.output_count) * sizeof(TensorRecord));
}

Result<void> Call::submit(uint64_t deadline_ns) {
  POCKET_RETURN_IF_ERROR(check_idle("submitting"));
  std::optional<Error> later;  // the model cannot be had now
  if (channel_->broken()) {
    const bool lost = std::any_of(inputs_.begin(), inputs_.end(), [](const Input& input) {
      return (input.record.flags & wire::kTensorByHandle) != 0;
    });
    if (auto ready = ready_channel(); !ready.ok()) {
      if (lost || !may_resend(ready.error())) return ready;
      later = std::move(ready).error();
    }
    if (lost) {
      return Error{POCKET_UNAVAILABLE,
                   "model '" + model_.name() +
                       "' had to be opened anew, and tensors kept there are gone: set the inputs "
                       "and submit again"};
    }
  }
  for (uint32_t index = 0; index < inputs_.size(); ++index) {
    if (!inputs_[index].set && model_.inputs()[index].dtype != POCKET_DTYPE_UNDEFINED) {
      return Error{POCKET_INVALID_ARGUMENT,
                   "input '" + model_.inputs()[index].name + "' is not set"};
    }
  }
  cancelled_.store(false);
  deadline_ns_ = deadline_ns;
  retry_.begin(deadline_ns);
  resend_because_.reset();
  auto sent = later ? Result<void>(*later) : submit_again();
  if (later ||
      (!sent.ok() && sent.error().code == POCKET_UNAVAILABLE && may_resend(sent.error()))) {
    send_later(std::move(sent).error());  // wait() does
    return ok_result();
  }
  return sent;
}

Result<void> Call::submit_again() {
  POCKET_RETURN_IF_ERROR(bring_inputs());
  POCKET_RETURN_IF_ERROR(reserve());
  wire::Submission submission{};
  submission.opcode = wire::Opcode::kRun;
  submission.block_region = block_.region;
  submission.block_offset = block_.offset;
  submission.block_bytes = write_block();
  submission.deadline_ns = deadline_ns_;
  submission.table_region = table_.region;
  submission.table_offset = table_.offset;
  submission.table_bytes = static_cast<uint32_t>(table_.bytes);
  answered_ = false;
  refused_.reset();
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
  POCKET_RETURN_IF_ERROR(submit_again());
  // A cancel() that came between the two submissions found nothing to cancel.
  if (cancelled_.load()) channel_->give_up(pending_, POCKET_CANCELLED);
  return ok_result();
}

Result<void> Call::wait(uint64_t deadline_ns) {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  if (!in_flight_ && !answered_) {
    return Error{POCKET_FAILED_PRECONDITION, "waiting: the call was not submitted"};
  }
  while (in_flight_) {
    if (resend_because_) {
      POCKET_ASSIGN_OR_RETURN(const bool sent, resend(std::min(deadline_ns, deadline_ns_)));
      if (cancelled_.load() && !sent) break;
      if (!sent && monotonic_ns() < deadline_ns_) return still_in_flight();
      if (!sent) continue;  // which says that the deadline has passed
    }
    if (!channel_->wait(pending_, std::min(deadline_ns, deadline_ns_))) {
      if (deadline_ns < deadline_ns_ && monotonic_ns() < deadline_ns_) return still_in_flight();
      channel_->give_up(pending_, POCKET_DEADLINE_EXCEEDED);
    }
    take_answer();
  }
  in_flight_ = false;
  return result();
}

bool Call::done() {
  if (!in_flight_ || resend_because_) return true;
  channel_->poll();
  // Waiting for a call whose deadline has passed does not block.
  if (!pending_.done.load()) return deadline_ns_ != kForever && monotonic_ns() >= deadline_ns_;
  if (pending_.given_up) return true;
  // An answer that did not fit is asked for again; the call is not done then. One that is to be
  // sent again, because its runner is gone, is: wait() sends it.
  if (pending_.completion.status != POCKET_OUTPUT_TOO_SMALL || cancelled_.load()) return true;
  take_answer();
  return !in_flight_ || resend_because_.has_value();
}

Result<void> Call::cancel() {
  POCKET_RETURN_IF_ERROR(model_.session().check_process());
  cancelled_.store(true);
  std::shared_ptr<Channel> channel;
  {
    MutexLock lock(channel_mutex_);
    channel = channel_;
  }
  // Its owner may be gone as soon as it is answered: nothing of the call is used after this.
  channel->give_up(pending_, POCKET_CANCELLED);
  channel->session().signal_event();
  return ok_result();
}

Result<void> Call::result() {
  if (cancelled_.load()) return Error{POCKET_CANCELLED, "the call was cancelled"};
  if (pending_.completion.status == POCKET_OK) return ok_result();
  if (refused_) return *refused_;
  return failure();
}

Error Call::failure() {
  const wire::Completion& completion = pending_.completion;
  auto code = static_cast<pocket_status>(completion.status);
  std::string message;
  const uint64_t bytes = std::min<uint64_t>(completion.table_bytes, table_.bytes);
  if (code == POCKET_DEADLINE_EXCEEDED && pending_.given_up) {
    message =
        "the deadline passed before the answer came; the call is given up: allow more time, or "
        "send less at once";
  } else if (bytes > 0 && channel_->has_response(table_.region, table_.offset, bytes)) {
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

Result<TensorRecord> Call::answered_record(uint32_t index) const {
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
  receipt.cpu_ns = pending_.completion.cpu_ns;
  for (const auto& input : inputs_) receipt.bytes_in += input.record.bytes;
  for (uint32_t index = 0; index < outputs_.size(); ++index) {
    if (outputs_[index].keep) continue;
    if (const auto record = answered_record(index); record.ok()) receipt.bytes_out += record->bytes;
  }
  receipt.lent_cpu = pending_.completion.lent_cpu;
  receipt.borrowed_cpu = pending_.completion.borrowed_cpu;
  receipt.lent_memory_pages = pending_.completion.lent_memory_pages;
  receipt.retry_after_us = pending_.completion.retry_after_us;
  return receipt;
}

}  // namespace pocket::client
