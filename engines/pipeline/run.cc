#include "run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"

namespace pocket::pipeline_engine {
namespace {

using tensor::Tensor;

Tensor as_tensor(const pocket_engine_input& input) {
  Tensor tensor;
  tensor.dtype = input.dtype;
  tensor.rank = input.rank;
  std::copy_n(input.shape, input.rank, tensor.shape);
  tensor.data = input.data;
  tensor.bytes = input.bytes;
  return tensor;
}

Result<void> check_wanted(const pocket_engine_call& call) {
  if (call.cancelled != nullptr && call.cancelled(call.context) != 0) {
    return Error{POCKET_CANCELLED, "nobody waits for the answer any more"};
  }
  if (call.deadline_ns != UINT64_MAX && monotonic_ns() > call.deadline_ns) {
    return Error{POCKET_DEADLINE_EXCEEDED, "the deadline passed between two steps"};
  }
  return ok_result();
}

Result<std::vector<Tensor>> run_step(const PlannedStep& step, const pocket_engine_call& call,
                                     const std::vector<Tensor>& tensors) {
  std::vector<Tensor> given(step.inputs.size());
  for (size_t index = 0; index < given.size(); ++index) {
    if (step.inputs[index] != kNoSlot) given[index] = tensors[step.inputs[index]];
  }
  if (step.operation != nullptr) {
    return operations::run_operation(*step.operation, given, step.parameters);
  }
  if (step.request.bytes > 0) given[0] = step.request;
  return step.peer->run(call, given, step.outputs.size());
}

Result<void> deliver(const Tensor& tensor, pocket_engine_output& output) {
  output.dtype = tensor.dtype;
  output.rank = tensor.rank;
  std::copy_n(tensor.shape, tensor.rank, output.shape);
  output.bytes = tensor.bytes;
  void* room = output.data;
  if (room == nullptr || output.capacity < tensor.bytes) {
    room = output.allocate == nullptr
               ? nullptr
               : output.allocate(output.allocate_context, output.index, tensor.bytes);
  }
  if (room == nullptr) {
    return Error{POCKET_RESOURCE_EXHAUSTED, fmt::format("no room for {} bytes", tensor.bytes)};
  }
  if (tensor.bytes > 0) std::memcpy(room, tensor.data, tensor.bytes);
  return ok_result();
}

}  // namespace

Result<void> run_plan(const Plan& plan, const pocket_engine_call& call,
                      std::span<const pocket_engine_input> inputs,
                      std::span<pocket_engine_output> outputs) {
  std::vector<Tensor> tensors(plan.slots);
  for (const auto& input : inputs) tensors[input.index] = as_tensor(input);
  for (const auto& step : plan.steps) {
    POCKET_RETURN_IF_ERROR(check_wanted(call));
    auto made = run_step(step, call, tensors);
    if (!made.ok())
      return std::move(made).error().with_context(fmt::format("step '{}'", step.label));
    for (size_t index = 0; index < step.outputs.size(); ++index) {
      if (step.outputs[index] != kNoSlot) tensors[step.outputs[index]] = std::move((*made)[index]);
    }
    for (const size_t slot : step.done) tensors[slot] = Tensor{};
  }
  for (auto& output : outputs) {
    POCKET_RETURN_IF_ERROR(deliver(tensors[plan.output_slots[output.index]], output));
  }
  return ok_result();
}

}  // namespace pocket::pipeline_engine
