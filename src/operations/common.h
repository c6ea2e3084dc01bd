// What the operations share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "operations/operation.h"

namespace pocket::operations {

inline Error invalid(std::string text) { return Error{POCKET_INVALID_ARGUMENT, std::move(text)}; }

/// INVALID_ARGUMENT unless the tensor is, or may become, one of these types.
inline Result<void> check_dtype(const Spec& spec, std::initializer_list<int32_t> known,
                                const char* what) {
  const bool fits = spec.dtype == POCKET_DTYPE_UNDEFINED ||
                    std::find(known.begin(), known.end(), spec.dtype) != known.end();
  if (fits) return ok_result();
  std::string names;
  for (const int32_t dtype : known) {
    names += (names.empty() ? "" : ", ") + std::string(pocket_dtype_name(dtype));
  }
  return invalid(
      fmt::format("the {} is {}; it may be {}", what, pocket_dtype_name(spec.dtype), names));
}

/// An axis of the shape, counted from the end when negative.
inline Result<size_t> find_axis(int64_t axis, size_t rank) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return invalid(fmt::format("there is no axis {} in a tensor of {} dimensions", axis, rank));
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

/// The shape, seen from one axis: `outer` blocks of `size` rows of `inner` elements.
struct Around {
  uint64_t outer = 1, size = 1, inner = 1;
};
inline Around around_axis(std::span<const int64_t> shape, size_t axis) {
  Around around;
  for (size_t index = 0; index < shape.size(); ++index) {
    auto& part = index < axis ? around.outer : index == axis ? around.size : around.inner;
    part *= static_cast<uint64_t>(shape[index]);
  }
  return around;
}

/// Calls `body` with a value of the tensor's type; INVALID_ARGUMENT for types that are not numbers
/// of C++.
template <typename Body>
auto with_type(int32_t dtype, Body body) -> decltype(body(float{})) {
  switch (dtype) {
    case POCKET_FLOAT32:
      return body(float{});
    case POCKET_FLOAT64:
      return body(double{});
    case POCKET_INT8:
      return body(int8_t{});
    case POCKET_UINT8:
      return body(uint8_t{});
    case POCKET_INT16:
      return body(int16_t{});
    case POCKET_UINT16:
      return body(uint16_t{});
    case POCKET_INT32:
      return body(int32_t{});
    case POCKET_UINT32:
      return body(uint32_t{});
    case POCKET_INT64:
      return body(int64_t{});
    case POCKET_UINT64:
      return body(uint64_t{});
    default:
      return invalid(fmt::format("nothing is computed with {}", pocket_dtype_name(dtype)));
  }
}

#define POCKET_NUMBERS                                                                      \
  {                                                                                         \
    POCKET_FLOAT32, POCKET_FLOAT64, POCKET_INT8, POCKET_UINT8, POCKET_INT16, POCKET_UINT16, \
        POCKET_INT32, POCKET_UINT32, POCKET_INT64, POCKET_UINT64                            \
  }

inline std::vector<Tensor> one(Tensor tensor) {
  std::vector<Tensor> list;
  list.push_back(std::move(tensor));
  return list;
}

}  // namespace pocket::operations
