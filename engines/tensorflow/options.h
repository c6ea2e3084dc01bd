// What a model's entry asks of TensorFlow.
#pragma once

#include <string>
#include <vector>

#include "pocket/engine.h"

namespace pocket::tensorflow_engine {

struct Options {
  std::string signature = "serving_default";
  std::vector<std::string> tags = {"serve"};
  uint32_t intra_op_threads = 1;  // that share the work of one operation
  uint32_t inter_op_threads = 1;  // operations at the same time, of all calls together
  bool keep_state = false;        // serve also a model that remembers something from call to call
};

/// Throws Refusal (INVALID_ARGUMENT) for a key or value that is not known.
Options read_options(const pocket_engine_load_options& options);

/// TensorFlow's ConfigProto, serialized.
std::string session_config(const Options& options);

}  // namespace pocket::tensorflow_engine
