// A SavedModel's signatures: which tensors of the graph are a call's inputs and outputs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pocket/engine.h"

namespace pocket::tensorflow_engine {

/// An input or output of a signature.
struct Port {
  std::string name;       // its key in the signature
  std::string operation;  // the graph's operation that makes it
  int output = 0;         // which of that operation's outputs
  int32_t dtype = POCKET_DTYPE_UNDEFINED;
  bool any_rank = false;
  std::vector<int64_t> shape;  // -1: dynamic
};

struct Signature {
  std::vector<Port> inputs, outputs;  // by name
};

/// Reads a serialized MetaGraphDef. Throws Refusal: INVALID_ARGUMENT names the signatures there
/// are, UNIMPLEMENTED the tensor that Pocket does not carry.
Signature read_signature(std::string_view meta_graph, const std::string& name);

/// TensorFlow's number of an element type, and back; the latter throws Refusal (UNIMPLEMENTED).
int32_t tensorflow_type(int32_t dtype);
int32_t pocket_type(int32_t tensorflow_type, const std::string& tensor);

}  // namespace pocket::tensorflow_engine
