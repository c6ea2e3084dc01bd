// Arithmetic on numbers that come from outside: every overflow is seen, none wraps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pocket/dtype.h"

namespace pocket {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// True when [offset, offset + bytes) lies inside [0, size).
inline bool range_inside(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}

/// Rounds up to a multiple of `alignment` (a power of two); nullopt on overflow.
inline std::optional<uint64_t> checked_align_up(uint64_t value, uint64_t alignment) {
  auto padded = checked_add(value, alignment - 1);
  if (!padded) return std::nullopt;
  return *padded & ~(alignment - 1);
}

/// Product of the dimensions; nullopt when one is negative or the product overflows int64.
inline std::optional<uint64_t> element_count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    auto product = checked_multiply(count, static_cast<uint64_t>(dimension));
    if (!product || *product > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    count = *product;
  }
  return count;
}

/// Bytes of a dense tensor of a fixed-size dtype; nullopt for strings, bad shapes and overflow.
inline std::optional<uint64_t> tensor_bytes(int32_t dtype, std::span<const int64_t> shape) {
  const size_t size = pocket_dtype_size(dtype);
  auto count = element_count(shape);
  if (size == 0 || !count) return std::nullopt;
  return checked_multiply(*count, size);
}

}  // namespace pocket
