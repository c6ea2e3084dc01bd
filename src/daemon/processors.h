// How many processors this process may really use.
#pragma once

#include <cstdint>

namespace pocket::daemon {

/// The smaller of the affinity mask's size and the CPU quota of every cgroup on the way up (v1 and
/// v2), rounded up; at least 1.
uint32_t usable_processors();

}  // namespace pocket::daemon
