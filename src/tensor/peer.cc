#include "tensor/peer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"

namespace pocket::tensor {
namespace {

std::vector<NamedSpec> read_infos(const pocket_engine_peer* peer, uint32_t count,
                                  int32_t (*info)(const pocket_engine_peer*, uint32_t,
                                                  pocket_engine_tensor_info*)) {
  std::vector<NamedSpec> infos;
  for (uint32_t index = 0; index < count; ++index) {
    pocket_engine_tensor_info raw{};
    NamedSpec named;
    if (info(peer, index, &raw) == POCKET_OK) {
      named.name = raw.name;
      named.spec.dtype = raw.dtype;
      named.spec.any_rank = raw.rank < 0;
      if (raw.rank > 0) named.spec.shape.assign(raw.shape, raw.shape + raw.rank);
    }
    infos.push_back(std::move(named));
  }
  return infos;
}

/// Where one output goes: room made before, or what the engine asks for.
struct Room {
  std::shared_ptr<void> memory;
};

void* allocate_room(void* context, uint32_t, size_t bytes) {
  auto* room = static_cast<Room*>(context);
  room->memory = allocate(bytes);
  return room->memory.get();
}

}  // namespace

Result<Peer> Peer::find(const pocket_engine_host* host, const std::string& name) {
  if (host == nullptr || host->struct_size < sizeof(pocket_engine_host)) {
    return Error{POCKET_FAILED_PRECONDITION, "this host lets a model use no others"};
  }
  Peer found;
  found.host_ = host;
  found.name_ = name;
  pocket_engine_error error;
  error.message[0] = '\0';
  const int32_t status = host->find(host->context, name.c_str(), &found.peer_, &error);
  if (status != POCKET_OK) return Error{static_cast<pocket_status>(status), error.message};
  found.inputs_ = read_infos(found.peer_, host->input_count(found.peer_), host->input_info);
  found.outputs_ = read_infos(found.peer_, host->output_count(found.peer_), host->output_info);
  return found;
}

Result<std::vector<Tensor>> Peer::run(const pocket_engine_call& call,
                                      std::span<const Tensor> inputs, size_t wanted) const {
  std::vector<pocket_engine_input> given;
  for (uint32_t index = 0; index < inputs.size(); ++index) {
    const Tensor& tensor = inputs[index];
    if (tensor.dtype == POCKET_DTYPE_UNDEFINED) continue;
    pocket_engine_input& input = given.emplace_back();
    input.index = index;
    input.dtype = tensor.dtype;
    input.rank = tensor.rank;
    std::copy_n(tensor.shape, std::clamp(tensor.rank, 0, POCKET_MAX_RANK), input.shape);
    input.data = tensor.data;
    input.bytes = tensor.bytes;
  }
  std::vector<Room> rooms(wanted);
  std::vector<pocket_engine_output> outputs(wanted);
  for (uint32_t index = 0; index < wanted; ++index) {
    outputs[index].index = index;
    outputs[index].allocate = allocate_room;
    outputs[index].allocate_context = &rooms[index];
    const Spec* spec = index < outputs_.size() ? &outputs_[index].spec : nullptr;
    const auto bytes =
        spec == nullptr || spec->any_rank ? std::nullopt : tensor_bytes(spec->dtype, spec->shape);
    if (!bytes) continue;
    // The engine may write there itself, without a copy.
    outputs[index].data = allocate_room(&rooms[index], index, *bytes);
    outputs[index].capacity = outputs[index].data == nullptr ? 0 : *bytes;
  }
  pocket_engine_error error;
  error.message[0] = '\0';
  const int32_t status = host_->run(peer_, &call, given.data(), static_cast<uint32_t>(given.size()),
                                    outputs.data(), static_cast<uint32_t>(wanted), &error);
  if (status != POCKET_OK) return Error{static_cast<pocket_status>(status), error.message};
  std::vector<Tensor> answers(wanted);
  for (size_t index = 0; index < wanted; ++index) {
    Tensor& answer = answers[index];
    answer.dtype = outputs[index].dtype;
    answer.rank = outputs[index].rank;
    std::copy_n(outputs[index].shape, answer.rank, answer.shape);
    answer.bytes = outputs[index].bytes;
    answer.memory = std::move(rooms[index].memory);
    answer.data = answer.memory.get();
  }
  return answers;
}

}  // namespace pocket::tensor
