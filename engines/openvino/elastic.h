// Elastic threads: how OpenVINO's threads follow the calls that run
// (docs/adr/0001-elastic-threads.md).
#pragma once

#include <cstdint>

namespace pocket::openvino_engine {

/// From now on every stream that OpenVINO makes in this process may use up to `threads` threads,
/// however many streams its model has. Any thread.
void let_streams_use(uint32_t threads);

/// Tells that a model's running calls went from `before` to `now`: TBB's workers beyond the threads
/// that are left for them sleep until fewer calls run. Cheap when nothing changes. Any thread.
void running_calls_changed(uint32_t before, uint32_t now);

/// At most this many threads of all models together compute from now on; 0: no bound. Takes effect
/// in the middle of a run: a thread that is to rest does so when its present piece of work is done.
/// Any thread.
void limit_threads(uint32_t threads);

}  // namespace pocket::openvino_engine
