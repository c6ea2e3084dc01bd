#include "runner/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/checked.h"
#include "wire/validate.h"

namespace pocket::runner {
namespace {

int32_t fail(pocket_engine_error* error, int32_t status, const std::string& message) {
  fmt::format_to_n(error->message, sizeof(error->message) - 1, "{}", message).out[0] = '\0';
  return status;
}

uint32_t input_count(const pocket_engine_peer* peer) {
  return static_cast<uint32_t>(peer->model->inputs().size());
}
uint32_t output_count(const pocket_engine_peer* peer) {
  return static_cast<uint32_t>(peer->model->outputs().size());
}

int32_t info(const std::vector<engine::TensorInfo>& infos, uint32_t index,
             pocket_engine_tensor_info* result) {
  if (index >= infos.size()) return POCKET_NOT_FOUND;
  result->name = infos[index].name.c_str();
  result->dtype = infos[index].dtype;
  result->rank = infos[index].rank;
  std::copy(std::begin(infos[index].shape), std::end(infos[index].shape), result->shape);
  return POCKET_OK;
}
int32_t input_info(const pocket_engine_peer* peer, uint32_t index,
                   pocket_engine_tensor_info* result) {
  return info(peer->model->inputs(), index, result);
}
int32_t output_info(const pocket_engine_peer* peer, uint32_t index,
                    pocket_engine_tensor_info* result) {
  return info(peer->model->outputs(), index, result);
}

/// An engine may rely on what it is given, whoever calls.
Result<void> check_call(const RunnerModel& model, std::span<const pocket_engine_input> inputs) {
  uint64_t seen = 0;
  for (const auto& input : inputs) {
    if (input.index >= model.inputs().size() || (seen >> input.index & 1) != 0) {
      return Error{
          POCKET_INVALID_ARGUMENT,
          fmt::format("input {} is not one of the model's, or was given twice", input.index)};
    }
    seen |= uint64_t{1} << input.index;
    const bool ranked = input.rank >= 0 && input.rank <= POCKET_MAX_RANK;
    const std::span<const int64_t> shape(input.shape, ranked ? static_cast<size_t>(input.rank) : 0);
    const auto count = element_count(shape);
    if (!ranked || !count) {
      return Error{POCKET_INVALID_ARGUMENT, fmt::format("input '{}' has an impossible shape",
                                                        model.inputs()[input.index].name)};
    }
    POCKET_RETURN_IF_ERROR(check_tensor(model.inputs()[input.index], input.dtype, shape));
    if (input.dtype == POCKET_STRING) {
      POCKET_RETURN_IF_ERROR(
          wire::check_strings({static_cast<const std::byte*>(input.data), input.bytes}, *count));
    } else if (tensor_bytes(input.dtype, shape) != input.bytes) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("input '{}' has {} bytes, its shape asks for others",
                               model.inputs()[input.index].name, input.bytes)};
    }
  }
  for (size_t index = 0; index < model.inputs().size(); ++index) {
    if ((seen >> index & 1) == 0 && !is_optional(model.inputs()[index])) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("input '{}' is missing", model.inputs()[index].name)};
    }
  }
  return ok_result();
}

int32_t run(pocket_engine_peer* peer, const pocket_engine_call* call,
            const pocket_engine_input* inputs, uint32_t input_total, pocket_engine_output* outputs,
            uint32_t output_total, pocket_engine_error* error) {
  try {
    RunnerModel& model = *peer->model;
    Result<void> ran = check_call(model, {inputs, input_total});
    for (uint32_t index = 0; ran.ok() && index < output_total; ++index) {
      if (outputs[index].index < model.outputs().size()) continue;
      ran = Error{POCKET_INVALID_ARGUMENT,
                  fmt::format("there is no output {}", outputs[index].index)};
    }
    if (ran.ok()) ran = model.run({inputs, input_total}, {outputs, output_total}, call);
    model.counters().calls.fetch_add(1, std::memory_order_relaxed);
    if (ran.ok()) return POCKET_OK;
    model.counters().errors.fetch_add(1, std::memory_order_relaxed);
    return fail(error, ran.error().code,
                fmt::format("model '{}': {}", peer->name, ran.error().message));
  } catch (const std::bad_alloc&) {
    return fail(error, POCKET_RESOURCE_EXHAUSTED, "no memory is left to run another model");
  }
}

int32_t find(void* context, const char* name, pocket_engine_peer** peer,
             pocket_engine_error* error) {
  auto* peers = static_cast<std::deque<pocket_engine_peer>*>(context);
  std::string known;
  for (auto& candidate : *peers) {
    if (candidate.name == name) {
      *peer = &candidate;
      return POCKET_OK;
    }
    known += (known.empty() ? "'" : ", '") + candidate.name + "'";
  }
  return fail(error, POCKET_NOT_FOUND,
              fmt::format("the entry names no model '{}' to use; it names {}", name,
                          known.empty() ? "none" : known));
}

}  // namespace

Peers::Peers(std::vector<std::pair<std::string, std::shared_ptr<RunnerModel>>> models)
    : host_{sizeof(pocket_engine_host),
            0,
            &peers_,
            find,
            input_count,
            output_count,
            input_info,
            output_info,
            run} {
  for (auto& [name, model] : models) peers_.push_back({std::move(name), std::move(model)});
}

void Peers::client_gone(uint64_t client) const {
  for (const auto& peer : peers_) peer.model->client_gone(client);
}

}  // namespace pocket::runner
