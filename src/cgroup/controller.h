// The two controllers whose budgets Pocket reads and moves, and how a host offers them.
#pragma once

#include <cstdint>
#include <string>

namespace pocket::cgroup {

enum class Controller : uint8_t { kCpu, kMemory };

/// "cpu" or "memory", as the kernel spells it.
constexpr const char* controller_name(Controller controller) {
  return controller == Controller::kCpu ? "cpu" : "memory";
}

/// kNone: neither controller can be used here. kV1, kV2: every usable controller lies in such a
/// tree, and no tree of the other kind is mounted. kHybrid: trees of both kinds are mounted; each
/// controller lies in one of them.
enum class Layout : uint8_t { kNone, kV1, kV2, kHybrid };

/// "none", "v1", "v2" or "hybrid".
constexpr const char* layout_name(Layout layout) {
  switch (layout) {
    case Layout::kV1:
      return "v1";
    case Layout::kV2:
      return "v2";
    case Layout::kHybrid:
      return "hybrid";
    case Layout::kNone:
      break;
  }
  return "none";
}

}  // namespace pocket::cgroup
