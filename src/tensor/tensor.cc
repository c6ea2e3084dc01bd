#include "tensor/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/checked.h"

namespace pocket::tensor {

std::string spec_text(const Spec& spec) {
  std::string text = spec.dtype == POCKET_DTYPE_UNDEFINED ? "any" : pocket_dtype_name(spec.dtype);
  if (spec.any_rank) return text + " of any shape";
  text += " [";
  for (size_t axis = 0; axis < spec.shape.size(); ++axis) {
    text += fmt::format("{}{}", axis == 0 ? "" : ", ",
                        spec.shape[axis] < 0 ? "?" : std::to_string(spec.shape[axis]));
  }
  return text + "]";
}

bool may_fit(const Spec& given, const Spec& wanted) {
  if (given.dtype != wanted.dtype && given.dtype != POCKET_DTYPE_UNDEFINED &&
      wanted.dtype != POCKET_DTYPE_UNDEFINED) {
    return false;
  }
  if (given.any_rank || wanted.any_rank) return true;
  if (given.shape.size() != wanted.shape.size()) return false;
  for (size_t axis = 0; axis < given.shape.size(); ++axis) {
    const bool known = given.shape[axis] >= 0 && wanted.shape[axis] >= 0;
    if (known && given.shape[axis] != wanted.shape[axis]) return false;
  }
  return true;
}

uint64_t Tensor::count() const { return element_count(dimensions()).value_or(0); }

Spec Tensor::spec() const { return {dtype, false, {shape, shape + rank}}; }

std::shared_ptr<void> allocate(size_t bytes) {
  const auto rounded = checked_align_up(std::max<size_t>(bytes, 1), 64);
  if (!rounded) return nullptr;
  return {std::aligned_alloc(64, *rounded), [](void* memory) { std::free(memory); }};
}

namespace {

Result<Tensor> with_memory(int32_t dtype, std::span<const int64_t> shape, uint64_t bytes) {
  if (bytes > kMostBytes) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("a tensor of {} bytes is more than the {} that one may have", bytes,
                             kMostBytes)};
  }
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), tensor.shape);
  tensor.bytes = bytes;
  tensor.memory = allocate(bytes);
  tensor.data = tensor.memory.get();
  if (tensor.data == nullptr) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("no memory for a tensor of {} bytes", bytes)};
  }
  return tensor;
}

}  // namespace

Result<Tensor> make_tensor(int32_t dtype, std::span<const int64_t> shape) {
  if (shape.size() > POCKET_MAX_RANK) {
    return Error{POCKET_INVALID_ARGUMENT, fmt::format("a tensor has at most {} dimensions, not {}",
                                                      POCKET_MAX_RANK, shape.size())};
  }
  const auto bytes = tensor_bytes(dtype, shape);
  if (!bytes) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("there is no tensor {}",
                             spec_text({dtype, false, {shape.begin(), shape.end()}}))};
  }
  return with_memory(dtype, shape, *bytes);
}

Result<Tensor> make_strings(std::span<const std::string_view> texts,
                            std::span<const int64_t> shape) {
  if (shape.size() > POCKET_MAX_RANK || element_count(shape) != texts.size()) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("{} texts do not fill their shape", texts.size())};
  }
  auto bytes = checked_multiply(texts.size() + 1, sizeof(uint64_t));
  for (const auto& text : texts) bytes = bytes ? checked_add(*bytes, text.size()) : bytes;
  POCKET_ASSIGN_OR_RETURN(Tensor tensor,
                          with_memory(POCKET_STRING, shape, bytes.value_or(UINT64_MAX)));
  auto* offsets = tensor.values<uint64_t>();
  auto* place = tensor.values<char>() + (texts.size() + 1) * sizeof(uint64_t);
  uint64_t offset = 0;
  offsets[0] = 0;
  for (size_t index = 0; index < texts.size(); ++index) {
    if (!texts[index].empty())
      std::memcpy(place + offset, texts[index].data(), texts[index].size());
    offset += texts[index].size();
    offsets[index + 1] = offset;
  }
  return tensor;
}

Result<std::vector<std::string_view>> strings_of(const Tensor& tensor) {
  const uint64_t count = tensor.count();
  const auto head = checked_multiply(count + 1, sizeof(uint64_t));
  if (tensor.dtype != POCKET_STRING || !head || *head > tensor.bytes) {
    return Error{POCKET_DATA_LOSS, "the tensor holds no strings, or not the offsets of its shape"};
  }
  const auto* text = tensor.values<char>() + *head;
  const uint64_t room = tensor.bytes - *head;
  const auto* offsets = tensor.values<uint64_t>();
  std::vector<std::string_view> strings;
  strings.reserve(count);
  if (offsets[0] != 0) return Error{POCKET_DATA_LOSS, "the first string does not start at 0"};
  for (uint64_t index = 0; index < count; ++index) {
    const uint64_t begin = offsets[index], end = offsets[index + 1];
    if (end < begin || end > room) {
      return Error{POCKET_DATA_LOSS, fmt::format("string {} ends outside of the tensor", index)};
    }
    strings.emplace_back(text + begin, end - begin);
  }
  return strings;
}

}  // namespace pocket::tensor
