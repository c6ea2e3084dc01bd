// The null engine's model file: TOML that says which inputs and outputs there are and what a run
// does. Documented in docs/engines.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "pocket/dtype.h"

namespace pocket::null_engine {

struct Tensor {
  std::string name;
  int32_t dtype = POCKET_FLOAT32;
  std::vector<int64_t> shape;  // -1: dynamic
};

enum class Mode {
  kNone,   // outputs are left as they lie: measures Pocket alone
  kZeros,  // outputs are filled with zeros (empty strings)
  kEcho,   // output i is input i
  kError,  // every run fails
  kCrash,  // every run ends the process, as a broken engine would
  kHang,   // a run does not return
};

struct ModelFile {
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  Mode mode = Mode::kZeros;
  uint64_t delay_us = 0;     // sleep in each run
  uint64_t busy_us = 0;      // spin in each run
  uint64_t crash_above = 0;  // not 0: crash only when the first input's first byte is above this
};

/// Reads and checks a file; `load_error = "text"` in it makes that text the error.
Result<ModelFile> read_model_file(const std::string& path);

}  // namespace pocket::null_engine
