#include "cgroup/effective.h"

namespace pocket::cgroup {
namespace {

/// True when the group has a limit; a smaller one than before becomes the tightest.
Result<bool> compare(Group& group, EffectiveLimit& result) {
  if (group.controller() == Controller::kCpu) {
    POCKET_ASSIGN_OR_RETURN(const CpuLimit limit, group.cpu_limit());
    if (smaller(limit, result.cpu)) {
      result.cpu = limit;
      result.tightest = group.path();
    }
    return limit.limited();
  }
  POCKET_ASSIGN_OR_RETURN(const int64_t limit, group.memory_limit());
  if (limit >= 0 && (result.memory < 0 || limit < result.memory)) {
    result.memory = limit;
    result.tightest = group.path();
  }
  return limit >= 0;
}

}  // namespace

Result<EffectiveLimit> effective_limit(const Host& host, Controller controller,
                                       const std::string& path) {
  EffectiveLimit result;
  const size_t top = host.mount_point(controller).size();
  std::string level = path;
  while (level.ends_with('/')) level.pop_back();
  while (true) {
    POCKET_ASSIGN_OR_RETURN(Group group, host.open(controller, level));
    POCKET_ASSIGN_OR_RETURN(const bool limited, compare(group, result));
    if (limited && result.nearest.empty()) result.nearest = level;
    if (level.size() <= top) return result;
    level.resize(level.rfind('/'));
  }
}

}  // namespace pocket::cgroup
