// Running one call: from validated records to tensors, through the engine, to the result table.
#pragma once

#include "runner/channel.h"

namespace pocket::runner {

/// Copies and checks what a kRun submission points to, into `call` (its channel and submission are
/// set). After this nothing of the call is read from shared memory but the float inputs themselves.
/// `malformed` is set to whether it broke the rules of the region, other than the model's.
Result<void> prepare(Call& call, bool* malformed = nullptr);

/// Runs a prepared call; never throws. `started_ns` is when the runner turned to it.
Outcome execute(const Call& call, uint64_t started_ns);

}  // namespace pocket::runner
