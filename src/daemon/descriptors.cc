#include "daemon/descriptors.h"

#include <fmt/format.h>
#include <sys/resource.h>

namespace pocket::daemon {

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

Result<void> check_descriptors_left(int newest, uint64_t reserve) {
  const uint64_t limit = descriptor_limit();
  if (static_cast<uint64_t>(newest) + reserve < limit) return ok_result();
  return Error{POCKET_RESOURCE_EXHAUSTED,
               fmt::format("the service has used up its file descriptors ({} of {}): close some "
                           "clients, or raise its limit (`ulimit -n`, LimitNOFILE=) and restart it",
                           newest, limit)};
}

}  // namespace pocket::daemon
