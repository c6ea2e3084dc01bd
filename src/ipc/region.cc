#include "ipc/region.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

#include "base/checked.h"
#include "base/clock.h"

namespace pocket::ipc {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

std::optional<uint64_t> whole_pages(uint64_t bytes) {
  return checked_align_up(bytes, static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
}

}  // namespace

Result<UniqueFd> create_region(const char* name, uint64_t bytes) {
  const auto size = whole_pages(bytes);
  if (bytes == 0 || !size || *size > static_cast<uint64_t>(INT64_MAX)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 "a shared region cannot have " + std::to_string(bytes) + " bytes"};
  }
  UniqueFd region(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!region.valid()) return errno_error("memfd_create", errno);
  if (::ftruncate(region.get(), static_cast<off_t>(*size)) != 0) {
    return errno_error("size a shared region of " + std::to_string(*size) + " bytes", errno);
  }
  if (::fcntl(region.get(), F_ADD_SEALS, kSizeSeals) != 0) {
    return errno_error("seal a shared region", errno);
  }
  return region;
}

Result<void> seal_against_new_writers(int region) {
  if (::fcntl(region, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
    return errno_error("seal a shared region against writers", errno);
  }
  return ok_result();
}

Result<void> verify_region(int region, uint64_t bytes) {
  const int seals = ::fcntl(region, F_GET_SEALS);
  if (seals < 0) {
    return Error{POCKET_DATA_LOSS, "a received shared region is not a memory file (memfd)"};
  }
  if ((seals & kSizeSeals) != kSizeSeals) {
    return Error{POCKET_DATA_LOSS,
                 "a received shared region is not sealed against growing and shrinking"};
  }
  struct stat status {};
  if (::fstat(region, &status) != 0) return errno_error("stat a shared region", errno);
  const auto expected = whole_pages(bytes);
  if (bytes == 0 || !expected || static_cast<uint64_t>(status.st_size) != *expected) {
    return Error{POCKET_DATA_LOSS, "a received shared region has " +
                                       std::to_string(status.st_size) + " bytes instead of " +
                                       std::to_string(bytes)};
  }
  return ok_result();
}

Result<UniqueFd> create_doorbell() {
  UniqueFd doorbell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell.valid()) return errno_error("eventfd", errno);
  return doorbell;
}

void ring_doorbell(int doorbell) {
  const uint64_t one = 1;
  ssize_t written = 0;
  do {
    written = ::write(doorbell, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
}

bool futex_wait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t deadline_ns) {
  timespec deadline{};
  if (deadline_ns != kForever) {
    deadline.tv_sec = static_cast<time_t>(deadline_ns / kNanosecondsPerSecond);
    deadline.tv_nsec = static_cast<long>(deadline_ns % kNanosecondsPerSecond);
  }
  // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time. Without FUTEX_PRIVATE_FLAG the word
  // is found by its file, so processes that map it at different addresses meet.
  const long result =
      ::syscall(SYS_futex, reinterpret_cast<const uint32_t*>(word), FUTEX_WAIT_BITSET, expected,
                deadline_ns == kForever ? nullptr : &deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
  return !(result != 0 && errno == ETIMEDOUT);
}

void futex_wake_all(const std::atomic<uint32_t>* word) {
  ::syscall(SYS_futex, reinterpret_cast<const uint32_t*>(word), FUTEX_WAKE_BITSET, INT_MAX, nullptr,
            nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace pocket::ipc
