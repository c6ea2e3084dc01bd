// Whether a signature changes what the model remembers.
#pragma once

#include <string>
#include <string_view>

#include "signature.h"

namespace pocket::tensorflow_engine {

/// The first operation that a call of `signature` runs and that leaves something in the model for
/// later calls, which may be those of another client: "'name' (Type)"; empty when there is none.
/// Reads a serialized MetaGraphDef; all of a function's operations count as run.
std::string find_state(std::string_view meta_graph, const Signature& signature);

}  // namespace pocket::tensorflow_engine
