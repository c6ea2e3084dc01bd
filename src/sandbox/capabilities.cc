#include "sandbox/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace pocket::sandbox {
namespace {

struct Sets {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};

  bool read() { return ::syscall(SYS_capget, &header, data.data()) == 0; }
  bool write() { return ::syscall(SYS_capset, &header, data.data()) == 0; }
};

}  // namespace

bool has_capability(int number) {
  Sets sets;
  if (!sets.read()) return false;
  return (sets.data[static_cast<size_t>(number / 32)].effective >> (number % 32) & 1) != 0;
}

bool may_make_namespaces() { return has_capability(CAP_SYS_ADMIN); }

Result<void> bound_capabilities(std::span<const int> kept) {
  if (!has_capability(CAP_SETPCAP)) return ok_result();
  for (int number = 0; ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    if (std::ranges::find(kept, number) != kept.end()) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
      return errno_error("dropping a capability from the bounding set", errno);
    }
  }
  return ok_result();
}

Result<void> keep_capabilities(std::span<const int> kept) {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  Sets sets;
  if (!sets.read()) return errno_error("capget", errno);
  std::array<uint32_t, 2> mask{};
  for (const int number : kept) mask[static_cast<size_t>(number / 32)] |= 1U << (number % 32);
  for (size_t half = 0; half < 2; ++half) {
    sets.data[half].effective &= mask[half];
    sets.data[half].permitted &= mask[half];
    sets.data[half].inheritable = 0;
  }
  if (!sets.write()) return errno_error("capset", errno);
  return ok_result();
}

}  // namespace pocket::sandbox
