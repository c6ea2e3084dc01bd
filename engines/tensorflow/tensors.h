// Tensors between the host's memory and TensorFlow.
#pragma once

#include "model.h"

namespace pocket::tensorflow_engine {

/// The input where it lies, when `in_place` and its elements are plain; else a copy of it, which
/// lives as long as TensorFlow holds it. Throws Refusal.
Owned<TF_Tensor> wrap_input(const pocket_engine_input& input, bool in_place);

/// Copies what TensorFlow answered into the host's room: its C interface allocates outputs itself.
/// Throws Refusal: RESOURCE_EXHAUSTED when there is no room, UNIMPLEMENTED for another type.
void deliver_output(const Port& port, TF_Tensor* value, pocket_engine_output& output);

}  // namespace pocket::tensorflow_engine
