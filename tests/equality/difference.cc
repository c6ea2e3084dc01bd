// How an output differs from the values it should have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>

#include "cases.h"
#include "pocket/dtype.h"

namespace pocket::equality {
namespace {

template <typename T>
double element(const std::string& bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

double bfloat16_element(const std::string& bytes, size_t index) {
  uint16_t half = 0;
  std::memcpy(&half, bytes.data() + index * sizeof(half), sizeof(half));
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return static_cast<double>(value);
}

using Element = double (*)(const std::string&, size_t);

/// nullptr for types that are only ever compared bit for bit.
Element element_of(int32_t dtype) {
  switch (dtype) {
    case POCKET_FLOAT32:
      return element<float>;
    case POCKET_FLOAT64:
      return element<double>;
    case POCKET_FLOAT16:
      return element<_Float16>;
    case POCKET_BFLOAT16:
      return bfloat16_element;
    case POCKET_INT8:
      return element<int8_t>;
    case POCKET_INT16:
      return element<int16_t>;
    case POCKET_INT32:
      return element<int32_t>;
    case POCKET_INT64:
      return element<int64_t>;
    case POCKET_UINT8:
      return element<uint8_t>;
    case POCKET_UINT16:
      return element<uint16_t>;
    case POCKET_UINT32:
      return element<uint32_t>;
    case POCKET_UINT64:
      return element<uint64_t>;
    default:
      return nullptr;
  }
}

bool is_close(double wanted, double given, const Tensor& limits) {
  if (std::isnan(wanted) || std::isnan(given)) return std::isnan(wanted) == std::isnan(given);
  if (wanted == given) return true;
  return std::abs(wanted - given) <= limits.absolute + limits.relative * std::abs(wanted);
}

}  // namespace

std::string difference(const Tensor& wanted, int32_t dtype, const std::vector<int64_t>& shape,
                       const std::string& bytes) {
  if (dtype != wanted.dtype) {
    return fmt::format("output {} is {}, not {}", wanted.index, pocket_dtype_name(dtype),
                       pocket_dtype_name(wanted.dtype));
  }
  if (shape != wanted.shape || bytes.size() != wanted.bytes.size()) {
    return fmt::format("output {} has shape {} and {} bytes, not {} and {}", wanted.index, shape,
                       bytes.size(), wanted.shape, wanted.bytes.size());
  }
  if (bytes == wanted.bytes) return {};
  const Element at = element_of(dtype);
  if (at == nullptr) return fmt::format("output {} has other values", wanted.index);
  const bool exact = wanted.relative == 0 && wanted.absolute == 0;
  const size_t size = pocket_dtype_size(dtype);
  for (size_t index = 0; index < bytes.size() / size; ++index) {
    const bool same =
        std::memcmp(bytes.data() + index * size, wanted.bytes.data() + index * size, size) == 0;
    if (same || (!exact && is_close(at(wanted.bytes, index), at(bytes, index), wanted))) continue;
    return fmt::format("output {}, element {} is {}, not {}", wanted.index, index, at(bytes, index),
                       at(wanted.bytes, index));
  }
  return {};
}

}  // namespace pocket::equality
