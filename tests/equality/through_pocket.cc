// A thin client of a service.
#include <cstring>
#include <memory>

#include "answers.h"

namespace pocket::equality {
namespace {

constexpr uint64_t kTimeoutNs = 60'000'000'000;

struct Closer {
  void operator()(pocket_model* model) const { pocket_model_close(model); }
  void operator()(pocket_call* call) const { pocket_call_destroy(call); }
};

Answer failed(int32_t status) { return {status, pocket_last_error(), {}}; }

using InfoFunction = int32_t (*)(const pocket_model*, uint32_t, pocket_tensor_info*);

std::vector<Port> ports_of(const pocket_model* model, uint32_t count, InfoFunction function) {
  std::vector<Port> ports;
  for (uint32_t index = 0; index < count; ++index) {
    pocket_tensor_info info{};
    if (function(model, index, &info) != POCKET_OK) return {};
    Port port{info.name, info.dtype, info.rank, {}};
    if (info.rank > 0) port.shape.assign(info.shape, info.shape + info.rank);
    ports.push_back(std::move(port));
  }
  return ports;
}

int32_t set_strings(pocket_call* call, const Tensor& tensor) {
  const auto* offsets = reinterpret_cast<const uint64_t*>(tensor.bytes.data());
  size_t count = 1;
  for (const int64_t size : tensor.shape) count *= static_cast<size_t>(size);
  const char* first = tensor.bytes.data() + (count + 1) * sizeof(uint64_t);
  std::vector<const char*> strings(count);
  std::vector<size_t> lengths(count);
  for (size_t index = 0; index < count; ++index) {
    strings[index] = first + offsets[index];
    lengths[index] = offsets[index + 1] - offsets[index];
  }
  return pocket_call_input_strings(call, tensor.index, static_cast<int32_t>(tensor.shape.size()),
                                   tensor.shape.data(), strings.data(), lengths.data());
}

int32_t set_input(pocket_call* call, const Tensor& tensor) {
  if (tensor.dtype == POCKET_STRING) return set_strings(call, tensor);
  pocket_tensor room{};
  const int32_t status =
      pocket_call_input(call, tensor.index, tensor.dtype, static_cast<int32_t>(tensor.shape.size()),
                        tensor.shape.data(), &room);
  if (status != POCKET_OK) return status;
  if (room.bytes != tensor.bytes.size()) return POCKET_INTERNAL;
  std::memcpy(room.data, tensor.bytes.data(), tensor.bytes.size());
  return POCKET_OK;
}

Answer submit(pocket_call* call, uint32_t output_count) {
  int32_t status = pocket_call_submit(call, POCKET_FOREVER);
  if (status == POCKET_OK) status = pocket_call_wait(call, kTimeoutNs);
  if (status != POCKET_OK) return failed(status);
  Answer answer;
  for (uint32_t index = 0; index < output_count; ++index) {
    pocket_tensor tensor{};
    status = pocket_call_output(call, index, &tensor);
    if (status != POCKET_OK) return failed(status);
    answer.outputs.push_back({tensor.dtype,
                              {tensor.shape, tensor.shape + tensor.rank},
                              {static_cast<const char*>(tensor.data), tensor.bytes}});
  }
  return answer;
}

Answer run(pocket_call* call, const std::vector<Tensor>& tensors, uint32_t output_count) {
  for (const auto& tensor : tensors) {
    if (const int32_t status = set_input(call, tensor); status != POCKET_OK) return failed(status);
  }
  Answer first = submit(call, output_count);
  const Answer second = submit(call, output_count);
  if (first.status != second.status || first.outputs != second.outputs) {
    return {POCKET_INTERNAL, "the second answer is not the first: " + second.message, {}};
  }
  return first;
}

}  // namespace

Answers answers_through_pocket(pocket_session* session, const std::string& engine,
                               const Case& each) {
  pocket_open_options options{};
  options.struct_size = sizeof(options);
  options.engine = engine.c_str();
  pocket_model* opened = nullptr;
  Answers answers;
  const int32_t status = pocket_model_open(session, each.name.c_str(), &options, &opened);
  if (status != POCKET_OK) {
    answers.load = failed(status);
    return answers;
  }
  const std::unique_ptr<pocket_model, Closer> model(opened);
  const uint32_t output_count = pocket_model_output_count(opened);
  answers.inputs = ports_of(opened, pocket_model_input_count(opened), pocket_model_input_info);
  answers.outputs = ports_of(opened, output_count, pocket_model_output_info);
  pocket_call* created = nullptr;
  if (pocket_call_create(opened, &created) != POCKET_OK) {
    answers.load = failed(POCKET_INTERNAL);
    return answers;
  }
  const std::unique_ptr<pocket_call, Closer> call(created);
  for (const auto& inputs : each.calls) {
    answers.calls.push_back(run(created, match_inputs(inputs, answers.inputs), output_count));
  }
  return answers;
}

}  // namespace pocket::equality
