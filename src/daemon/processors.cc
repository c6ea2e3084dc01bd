#include "daemon/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "cgroup/effective.h"

namespace pocket::daemon {
namespace {

/// The CPU limit of this process's group and of those above it; unlimited when unknown.
cgroup::CpuLimit own_limit() {
  const cgroup::Host host = cgroup::Host::detect();
  auto group = host.group_of(cgroup::Controller::kCpu, ::getpid());
  if (!group.ok()) return {};
  auto limit = cgroup::effective_limit(host, cgroup::Controller::kCpu, *group);
  return limit.ok() ? limit->cpu : cgroup::CpuLimit{};
}

}  // namespace

uint32_t usable_processors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int64_t count = ::sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
  const cgroup::CpuLimit limit = own_limit();
  if (limit.limited()) {
    count = std::min(count, (limit.quota_us + limit.period_us - 1) / limit.period_us);
  }
  return static_cast<uint32_t>(std::max<int64_t>(count, 1));
}

}  // namespace pocket::daemon
