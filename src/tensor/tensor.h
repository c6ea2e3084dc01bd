// Tensors as handlers and pipelines hold them between a call's input and its answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pocket/dtype.h"

namespace pocket::tensor {

/// Largest tensor that is made here: what one wrong number may ask for.
constexpr uint64_t kMostBytes = uint64_t{1} << 30;

/// Dtype and shape. As the description of an input: -1 is any size, a rank of -1 any rank,
/// POCKET_DTYPE_UNDEFINED any type.
struct Spec {
  int32_t dtype = POCKET_DTYPE_UNDEFINED;
  bool any_rank = false;
  std::vector<int64_t> shape;
};

/// "float32 [1, ?, 3]", for messages.
std::string spec_text(const Spec& spec);
/// Whether what `given` describes may be what `wanted` asks for; unknown sizes may be any.
bool may_fit(const Spec& given, const Spec& wanted);

/// A tensor: its own memory, or somebody else's that outlives it. Copies share the memory.
struct Tensor {
  int32_t dtype = POCKET_DTYPE_UNDEFINED;
  int32_t rank = 0;
  int64_t shape[POCKET_MAX_RANK] = {};
  const void* data = nullptr;
  size_t bytes = 0;
  std::shared_ptr<void> memory;  // several steps may use one answer; null: somebody else's

  std::span<const int64_t> dimensions() const { return {shape, static_cast<size_t>(rank)}; }
  uint64_t count() const;  // of elements
  Spec spec() const;
  /// For whoever made the tensor and fills it.
  void* writable() { return const_cast<void*>(data); }
  template <typename T>
  T* values() {
    return static_cast<T*>(writable());
  }
  template <typename T>
  const T* values() const {
    return static_cast<const T*>(data);
  }
};

/// Memory aligned as tensors are; null: there is none.
std::shared_ptr<void> allocate(size_t bytes);

/// A tensor with room for its values. INVALID_ARGUMENT: a wrong shape or dtype.
/// RESOURCE_EXHAUSTED: more than kMostBytes, or no memory.
Result<Tensor> make_tensor(int32_t dtype, std::span<const int64_t> shape);
/// A tensor of strings.
Result<Tensor> make_strings(std::span<const std::string_view> texts,
                            std::span<const int64_t> shape);
/// The strings of a tensor, valid as long as it. DATA_LOSS when its offsets are wrong.
Result<std::vector<std::string_view>> strings_of(const Tensor& tensor);

}  // namespace pocket::tensor
