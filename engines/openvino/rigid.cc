// Where OpenVINO came without TBB's headers: its threads are divided once and for all.
#include "elastic.h"

namespace pocket::openvino_engine {

void let_streams_use(uint32_t) {}
void running_calls_changed(uint32_t, uint32_t) {}
void limit_threads(uint32_t) {}

}  // namespace pocket::openvino_engine
