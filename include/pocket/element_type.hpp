/* The dtype of a C++ type, for the C++ interfaces of clients and of handlers. */
#ifndef POCKET_ELEMENT_TYPE_HPP_
#define POCKET_ELEMENT_TYPE_HPP_

#include <cstdint>
#include <type_traits>

#include "pocket/dtype.h"

namespace pocket {

/* The dtype of a C++ type; a compile error for types no tensor has. */
template <typename T>
constexpr int32_t dtype_of() {
  using Value = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<Value, float>) return POCKET_FLOAT32;
  if constexpr (std::is_same_v<Value, double>) return POCKET_FLOAT64;
  if constexpr (std::is_same_v<Value, bool>) return POCKET_BOOL;
  if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
    constexpr int32_t kSigned[] = {POCKET_INT8, POCKET_INT16, POCKET_INT32, POCKET_INT64};
    constexpr int32_t kUnsigned[] = {POCKET_UINT8, POCKET_UINT16, POCKET_UINT32, POCKET_UINT64};
    constexpr int kPower = sizeof(Value) == 1   ? 0
                           : sizeof(Value) == 2 ? 1
                           : sizeof(Value) == 4 ? 2
                                                : 3;
    return std::is_signed_v<Value> ? kSigned[kPower] : kUnsigned[kPower];
  }
  static_assert(std::is_arithmetic_v<Value>, "no tensor has elements of this type");
}

/* NumPy's name of a dtype, for messages; needs no library. */
inline const char* element_type_name(int32_t dtype) {
  constexpr const char* kNames[] = {"undefined",  "float32", "uint8",  "int8",   "uint16",
                                    "int16",      "int32",   "int64",  "str",    "bool",
                                    "float16",    "float64", "uint32", "uint64", "complex64",
                                    "complex128", "bfloat16"};
  return dtype >= 0 && dtype <= POCKET_BFLOAT16 ? kNames[dtype] : "unknown";
}

} /* namespace pocket */

#endif /* POCKET_ELEMENT_TYPE_HPP_ */
