#include "pocket/dtype.h"

namespace {

struct Row {
  const char* name;
  size_t size;
};

// Indexed by pocket_dtype.
constexpr Row kRows[] = {{"undefined", 0}, {"float32", 4}, {"uint8", 1},     {"int8", 1},
                         {"uint16", 2},    {"int16", 2},   {"int32", 4},     {"int64", 8},
                         {"str", 0},       {"bool", 1},    {"float16", 2},   {"float64", 8},
                         {"uint32", 4},    {"uint64", 8},  {"complex64", 8}, {"complex128", 16},
                         {"bfloat16", 2}};
static_assert(sizeof(kRows) / sizeof(kRows[0]) == POCKET_BFLOAT16 + 1);

const Row& row(int32_t dtype) {
  return dtype >= 0 && dtype <= POCKET_BFLOAT16 ? kRows[dtype] : kRows[0];
}

}  // namespace

size_t pocket_dtype_size(int32_t dtype) { return row(dtype).size; }
const char* pocket_dtype_name(int32_t dtype) { return row(dtype).name; }
