// Linux capabilities of this process.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace pocket::sandbox {

/// True when this process may make namespaces and mounts in them (CAP_SYS_ADMIN).
bool may_make_namespaces();
/// True when it has the capability `number` (CAP_...), effective.
bool has_capability(int number);

/// Takes all but `kept` out of the calling thread's bounding set: no program it starts can have
/// them. Does nothing without the right to (CAP_SETPCAP).
Result<void> bound_capabilities(std::span<const int> kept);

/// Drops all capabilities but `kept` from the calling thread's other sets: call it before there are
/// more threads. Those in `kept` that it lacks stay lacking.
Result<void> keep_capabilities(std::span<const int> kept);

}  // namespace pocket::sandbox
