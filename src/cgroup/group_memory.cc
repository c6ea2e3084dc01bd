// The memory side of Group.
#include <cerrno>

#include "cgroup/group.h"

namespace pocket::cgroup {
namespace {

/// v1 has no word for unlimited: it shows the largest number of whole pages.
constexpr int64_t kUnlimitedFrom = int64_t{1} << 62;

Result<int64_t> read_limit(GroupFile& file, const Folder& folder, const char* name) {
  char buffer[64];
  POCKET_ASSIGN_OR_RETURN(const std::string_view text, file.read(folder, buffer));
  if (text == "max") return int64_t{-1};
  POCKET_ASSIGN_OR_RETURN(const int64_t value, parse_number(text, folder, name));
  return value < 0 || value >= kUnlimitedFrom ? -1 : value;
}

/// -1 is above every number.
bool above(int64_t a, int64_t b) { return b >= 0 && (a < 0 || a > b); }

}  // namespace

Result<int64_t> Group::memory_limit() {
  POCKET_RETURN_IF_ERROR(need(Controller::kMemory, "memory_limit"));
  POCKET_ASSIGN_OR_RETURN(const bool has_limit, limit_.exists(folder_));
  if (!has_limit) return int64_t{-1};
  return read_limit(limit_, folder_, "memory limit");
}

Result<int64_t> Group::memory_and_swap_limit() {
  POCKET_RETURN_IF_ERROR(need(Controller::kMemory, "memory_and_swap_limit"));
  if (folder_.v2) return int64_t{-1};
  POCKET_ASSIGN_OR_RETURN(const bool accounted, and_swap_.exists(folder_));
  if (!accounted) return int64_t{-1};
  return read_limit(and_swap_, folder_, "memory.memsw.limit_in_bytes");
}

Error Group::too_small(int64_t bytes, const MemoryUse& use) const {
  return Error{POCKET_RESOURCE_EXHAUSTED,
               "a memory limit of " + std::to_string(bytes) + " bytes for " + folder_.title() +
                   " is below its use of " + std::to_string(use.usage) + " bytes (" +
                   std::to_string(use.reclaimable) +
                   " of them reclaimable); nothing was changed: ask for less, or wait until it "
                   "uses less"};
}

Result<void> Group::write_memory(GroupFile& file, int64_t bytes) {
  int failed_with = 0;
  auto done = file.write(folder_, limit_text(bytes, folder_.v2), &failed_with);
  if (done.ok() || (failed_with != EBUSY && failed_with != EINVAL)) return done;
  if (failed_with == EBUSY) {  // v1: the kernel reclaimed what it could, and left the old limit
    POCKET_ASSIGN_OR_RETURN(const MemoryUse use, memory_use());
    return too_small(bytes, use);
  }
  Error error = std::move(done).error();
  error.code = POCKET_FAILED_PRECONDITION;
  error.message +=
      "; on v1 the limit of memory and swap must stay at or above the memory limit: "
      "did somebody change one of them just now? read both again";
  return error;
}

Result<void> Group::set_memory_limit(int64_t bytes) {
  POCKET_RETURN_IF_ERROR(need(Controller::kMemory, "set_memory_limit"));
  POCKET_RETURN_IF_ERROR(need_not_root("memory limit"));
  if (bytes < -1) {
    return Error{POCKET_INVALID_ARGUMENT, "a memory limit of " + std::to_string(bytes) +
                                              " bytes for " + folder_.title() +
                                              ": give -1 for unlimited, or 0 and more"};
  }
  if (folder_.v2) {
    POCKET_ASSIGN_OR_RETURN(const int64_t old, memory_limit());
    return above(old, bytes) ? lower_v2_memory(bytes, old) : write_memory(limit_, bytes);
  }
  POCKET_ASSIGN_OR_RETURN(const int64_t old_and_swap, memory_and_swap_limit());
  if (old_and_swap < 0) return write_memory(limit_, bytes);
  POCKET_ASSIGN_OR_RETURN(const int64_t old, memory_limit());
  const int64_t allowance = old >= 0 && old_and_swap > old ? old_and_swap - old : 0;
  const bool fits = bytes >= 0 && bytes < kUnlimitedFrom - allowance;
  return write_both({bytes, fits ? bytes + allowance : -1}, {old, old_and_swap});
}

Result<void> Group::set_memory_limits(int64_t bytes, int64_t and_swap) {
  POCKET_RETURN_IF_ERROR(need(Controller::kMemory, "set_memory_limits"));
  POCKET_RETURN_IF_ERROR(need_not_root("memory limits"));
  if (folder_.v2) return set_memory_limit(bytes);
  if (bytes < -1 || and_swap < -1 || above(bytes, and_swap)) {
    return Error{POCKET_INVALID_ARGUMENT, "memory limits of " + std::to_string(bytes) + " bytes, " +
                                              std::to_string(and_swap) + " with swap, for " +
                                              folder_.title() +
                                              ": the second must not be smaller (-1: unlimited)"};
  }
  POCKET_ASSIGN_OR_RETURN(const bool accounted, and_swap_.exists(folder_));
  if (!accounted) return write_memory(limit_, bytes);
  POCKET_ASSIGN_OR_RETURN(const int64_t old_and_swap, memory_and_swap_limit());
  POCKET_ASSIGN_OR_RETURN(const int64_t old, memory_limit());
  return write_both({bytes, and_swap}, {old, old_and_swap});
}

Result<void> Group::write_both(const V1Limits& wanted, const V1Limits& old) {
  // The kernel keeps memory <= memory with swap at each step.
  if (above(wanted.memory, old.and_swap)) {
    POCKET_RETURN_IF_ERROR(write_memory(and_swap_, wanted.and_swap));
    auto done = write_memory(limit_, wanted.memory);
    if (!done.ok()) (void)write_memory(and_swap_, old.and_swap);
    return done;
  }
  if (wanted.memory != old.memory) POCKET_RETURN_IF_ERROR(write_memory(limit_, wanted.memory));
  if (wanted.and_swap == old.and_swap) return ok_result();
  auto done = write_memory(and_swap_, wanted.and_swap);
  if (!done.ok()) (void)write_memory(limit_, old.memory);
  return done;
}

Result<void> Group::lower_v2_memory(int64_t bytes, int64_t old_limit) {
  const auto wanted = static_cast<uint64_t>(bytes);
  POCKET_ASSIGN_OR_RETURN(const uint64_t usage, memory_usage());
  if (usage > wanted) {
    POCKET_ASSIGN_OR_RETURN(const MemoryUse use, memory_use());
    if (use.usage > use.reclaimable + wanted) return too_small(bytes, use);
    // Reclaims without ever killing; gives EAGAIN when it got less than asked, hence the second
    // look. Kernels without the file (before 5.19) get no reclaim, and so no lower limit.
    POCKET_ASSIGN_OR_RETURN(const bool can_reclaim, reclaim_.exists(folder_));
    if (can_reclaim && use.usage > wanted) {
      (void)reclaim_.write(folder_, std::to_string(use.usage - wanted));
    }
    POCKET_ASSIGN_OR_RETURN(const uint64_t left, memory_usage());
    if (left > wanted) return too_small(bytes, MemoryUse{left, use.reclaimable});
  }
  POCKET_RETURN_IF_ERROR(write_memory(limit_, bytes));
  // The group may have grown between look and write: then the old limit comes back at once.
  POCKET_ASSIGN_OR_RETURN(const uint64_t after, memory_usage());
  if (after <= wanted) return ok_result();
  POCKET_RETURN_IF_ERROR(write_memory(limit_, old_limit));
  return too_small(bytes, MemoryUse{after, 0});
}

Result<uint64_t> Group::memory_usage() {
  POCKET_RETURN_IF_ERROR(need(Controller::kMemory, "memory_usage"));
  POCKET_ASSIGN_OR_RETURN(const int64_t usage, usage_.read_number(folder_));
  return static_cast<uint64_t>(usage);
}

Result<MemoryUse> Group::memory_use() {
  MemoryUse use;
  POCKET_ASSIGN_OR_RETURN(use.usage, memory_usage());
  char buffer[16384];
  POCKET_ASSIGN_OR_RETURN(const std::string_view stat, stat_.read(folder_, buffer));
  // v1 counts the groups below only in the "total_" lines; usage has them in both versions.
  const bool v2 = folder_.v2;
  const uint64_t inactive = stat_value(stat, v2 ? "inactive_file" : "total_inactive_file");
  const uint64_t dirty = stat_value(stat, v2 ? "file_dirty" : "total_dirty") +
                         stat_value(stat, v2 ? "file_writeback" : "total_writeback");
  use.reclaimable = inactive > dirty ? inactive - dirty : 0;
  if (use.reclaimable > use.usage) use.reclaimable = use.usage;
  return use;
}

Result<uint64_t> Group::memory_peak() {
  POCKET_RETURN_IF_ERROR(need(Controller::kMemory, "memory_peak"));
  POCKET_ASSIGN_OR_RETURN(const bool known, peak_.exists(folder_));
  if (!known) {
    return Error{POCKET_UNIMPLEMENTED, "the peak use of " + folder_.title() +
                                           " is not recorded: Linux 5.19 and newer have "
                                           "memory.peak, and never for the root group"};
  }
  POCKET_ASSIGN_OR_RETURN(const int64_t peak, peak_.read_number(folder_));
  return static_cast<uint64_t>(peak);
}

}  // namespace pocket::cgroup
