// NumPy's .npy files (format 1 to 3: https://numpy.org/doc/stable/reference/generated/
// numpy.lib.format.html). No packaged C++ library reads them alone, hence this small reader.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cli {

/// An array in row-major order. Strings (dtype POCKET_STRING) lie in `strings`, others in `data`.
struct Array {
  int32_t dtype = 0;
  std::vector<int64_t> shape;
  std::vector<char> data;
  std::vector<std::string> strings;
};

/// Little-endian numbers, bool, bytes ('S') and text ('U', becomes UTF-8). 'V2' is bfloat16.
/// DATA_LOSS for a damaged file; UNIMPLEMENTED for objects, records and big-endian data.
Result<Array> read_npy(const std::string& path);
/// Strings are written as bytes ('S').
Result<void> write_npy(const std::string& path, const Array& array);

}  // namespace pocket::cli
