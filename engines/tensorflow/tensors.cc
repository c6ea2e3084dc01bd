#include "tensors.h"

#include <tensorflow/c/tf_tstring.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "refusal.h"

namespace pocket::tensorflow_engine {
namespace {

constexpr size_t kAlignment = 64;  // what TensorFlow uses in place

void leave(void*, size_t, void*) {}

void free_copy(void* data, size_t, void*) { std::free(data); }

void free_strings(void* data, size_t bytes, void*) {
  auto* strings = static_cast<TF_TString*>(data);
  for (size_t index = 0; index < bytes / sizeof(TF_TString); ++index) {
    TF_TString_Dealloc(&strings[index]);
  }
  std::free(data);
}

void* allocate(size_t bytes) {
  void* memory =
      std::aligned_alloc(kAlignment, (bytes / kAlignment + 1) * kAlignment);  // never of size 0
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

Owned<TF_Tensor> made(TF_DataType type, const pocket_engine_input& input, void* data, size_t bytes,
                      void (*release)(void*, size_t, void*)) {
  Owned<TF_Tensor> tensor(
      TF_NewTensor(type, input.shape, input.rank, data, bytes, release, nullptr));
  if (tensor == nullptr) throw Refusal(POCKET_ENGINE_ERROR, "TensorFlow refuses an input's size");
  return tensor;
}

/// Packed as in docs/format-tensor.md: one offset more than strings, then their bytes.
Owned<TF_Tensor> unpack_strings(const pocket_engine_input& input) {
  size_t count = 1;
  for (int32_t axis = 0; axis < input.rank; ++axis) count *= static_cast<size_t>(input.shape[axis]);
  const auto* offsets = static_cast<const uint64_t*>(input.data);
  const auto* bytes = reinterpret_cast<const char*>(offsets + count + 1);
  auto* strings = static_cast<TF_TString*>(allocate(count * sizeof(TF_TString)));
  for (size_t index = 0; index < count; ++index) {
    TF_TString_Init(&strings[index]);
    TF_TString_Copy(&strings[index], bytes + offsets[index], offsets[index + 1] - offsets[index]);
  }
  return made(TF_STRING, input, strings, count * sizeof(TF_TString), free_strings);
}

void make_room(pocket_engine_output& output) {
  if (output.data != nullptr && output.capacity >= output.bytes) return;
  output.data = output.allocate == nullptr
                    ? nullptr
                    : output.allocate(output.allocate_context, output.index, output.bytes);
  if (output.data == nullptr) throw Refusal(POCKET_RESOURCE_EXHAUSTED, "no room for an output");
}

void pack_strings(TF_Tensor* value, size_t count, pocket_engine_output& output) {
  const auto* strings = static_cast<const TF_TString*>(TF_TensorData(value));
  output.bytes = (count + 1) * sizeof(uint64_t);
  for (size_t index = 0; index < count; ++index) {
    output.bytes += TF_TString_GetSize(&strings[index]);
  }
  make_room(output);
  auto* offsets = static_cast<uint64_t*>(output.data);
  auto* bytes = reinterpret_cast<char*>(offsets + count + 1);
  offsets[0] = 0;
  for (size_t index = 0; index < count; ++index) {
    const size_t size = TF_TString_GetSize(&strings[index]);
    if (size > 0) {
      std::memcpy(bytes + offsets[index], TF_TString_GetDataPointer(&strings[index]), size);
    }
    offsets[index + 1] = offsets[index] + size;
  }
}

}  // namespace

Owned<TF_Tensor> wrap_input(const pocket_engine_input& input, bool in_place) {
  const auto type = static_cast<TF_DataType>(tensorflow_type(input.dtype));
  if (type == TF_STRING) return unpack_strings(input);
  if (in_place) {
    // TensorFlow writes into no memory that it does not own, so read-only mappings are enough.
    return made(type, input, const_cast<void*>(input.data), input.bytes, leave);
  }
  void* copy = allocate(input.bytes);
  if (input.bytes > 0) std::memcpy(copy, input.data, input.bytes);
  return made(type, input, copy, input.bytes, free_copy);
}

void deliver_output(const Port& port, TF_Tensor* value, pocket_engine_output& output) {
  const int rank = TF_NumDims(value);
  if (rank > POCKET_MAX_RANK) {
    throw Refusal(POCKET_UNIMPLEMENTED, "output '" + port.name + "' has more than 8 dimensions");
  }
  output.dtype = pocket_type(TF_TensorType(value), port.name);
  output.rank = rank;
  for (int axis = 0; axis < rank; ++axis) output.shape[axis] = TF_Dim(value, axis);
  const auto count = static_cast<size_t>(TF_TensorElementCount(value));
  if (output.dtype == POCKET_STRING) {
    pack_strings(value, count, output);
    return;
  }
  output.bytes = count * pocket_dtype_size(output.dtype);
  make_room(output);
  if (output.bytes > 0) std::memcpy(output.data, TF_TensorData(value), output.bytes);
}

}  // namespace pocket::tensorflow_engine
