// One group of one controller: reading what it uses, reading and changing its limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "cgroup/controller.h"
#include "cgroup/group_file.h"

namespace pocket::cgroup {

/// What a quota or period may be, by the kernel's rules.
constexpr int64_t kSmallestQuotaUs = 1'000;
constexpr int64_t kSmallestPeriodUs = 1'000;
constexpr int64_t kLargestPeriodUs = 1'000'000;
constexpr int64_t kUsualCpuShares = 1'024;
constexpr int64_t kMostCpuShares = 262'144;

struct CpuLimit {
  int64_t quota_us = -1;  ///< processor time in each period, all processors together; -1: unlimited
  int64_t period_us = 100'000;

  bool limited() const { return quota_us >= 0; }
  bool operator==(const CpuLimit&) const = default;
};

/// True when `a` allows less processor time per second than `b`; exact, also for any periods.
bool smaller(const CpuLimit& a, const CpuLimit& b);

struct MemoryUse {
  uint64_t usage = 0;  ///< bytes charged to the group and the groups below it
  /// Of these, bytes that can go at once and will hardly be missed: clean page cache that was not
  /// touched again (inactive_file less dirty and under-writeback pages). Active cache is left out:
  /// it holds the client's own code and hot files, and would be read back from disk at once.
  uint64_t reclaimable = 0;
};

struct CpuUse {
  uint64_t usage_ns = 0;           ///< processor time used
  uint64_t periods = 0;            ///< periods in which the group had something to run
  uint64_t throttled_periods = 0;  ///< of these, periods whose quota was used up
  uint64_t throttled_ns = 0;       ///< time its threads then waited
};

/// Where a group's files are; made by Host.
struct GroupPlace {
  Controller controller = Controller::kCpu;
  bool v2 = false;
  std::string path;        ///< the group's folder
  std::string accounting;  ///< cpu on v1: its folder in the cpuacct tree; "" when not mounted
  std::string freezer;     ///< v1: its folder in the freezer tree; "" when not mounted
};

/// One group of one controller. Move-only; one thread at a time. Files are opened when first used
/// and kept open; the open folder pins this very group, so once it is removed every call gives
/// NOT_FOUND ("group gone"), also when a new group has its name.
///
/// Errors of every call: NOT_FOUND (gone), PERMISSION_DENIED, FAILED_PRECONDITION (the controller
/// is not enabled for the group, it is the root group, or the call is for the other controller).
class Group {
 public:
  static Result<Group> open(const GroupPlace& place);

  const std::string& path() const { return folder_.path; }
  Controller controller() const { return folder_.controller; }
  bool v2() const { return folder_.v2; }
  /// The root of the whole tree: it has no limit, so there is nothing to lend or to change.
  bool is_root() const { return root_; }

  /// A group without a limit file (the root, or v2 with the controller off) is unlimited.
  Result<CpuLimit> cpu_limit();
  /// v1: the quota alone, one read. v2 has it in one file with the period: use cpu_limit().
  Result<int64_t> cpu_quota();
  /// One write; the period stays. INVALID_ARGUMENT: neither -1 nor at least 1,000.
  /// FAILED_PRECONDITION: v1 refuses, as a parent allows less or a child has more.
  Result<void> set_cpu_quota(int64_t quota_us);
  /// Quota and period: one write on v2; two on v1, in the order that never allows more in between
  /// than the larger of old and new, and undone when the second fails.
  Result<void> set_cpu_limit(const CpuLimit& limit);

  /// How much of busy processors it gets beside other groups, in v1's shares: 1024 as a rule. (v2's
  /// weight of 100 is the same.)
  Result<int64_t> cpu_shares();
  /// Anything from 2 to 262,144; v2 rounds to its hundredths.
  Result<void> set_cpu_shares(int64_t shares);

  /// Bytes; -1: unlimited.
  Result<int64_t> memory_limit();
  /// v1: bytes of memory and swap together (memsw); -1: unlimited, not accounted, or v2.
  Result<int64_t> memory_and_swap_limit();
  /// -1: unlimited; the kernel rounds down to whole pages. RESOURCE_EXHAUSTED: the group uses more
  /// than that and it cannot be reclaimed; nothing was changed and nothing killed.
  /// v1: a finite memsw limit moves along, so that the swap allowance stays what it was.
  /// v2: a limit is only lowered once usage is below it (usage is checked, cache reclaimed through
  /// memory.reclaim), as the kernel would kill the group's processes otherwise.
  Result<void> set_memory_limit(int64_t bytes);
  /// v1: both limits exactly, in the order the kernel accepts. With and_swap == -1 where swap is
  /// not accounted, and on v2, as set_memory_limit. For putting back what was read earlier.
  Result<void> set_memory_limits(int64_t bytes, int64_t and_swap);

  /// Only the bytes charged; cheaper than memory_use. v1 counts in batches: up to 64 pages for
  /// each processor too much.
  Result<uint64_t> memory_usage();
  Result<MemoryUse> memory_use();
  /// The most bytes ever charged. UNIMPLEMENTED: v2 before Linux 5.19.
  Result<uint64_t> memory_peak();
  /// FAILED_PRECONDITION on v1 when cpuacct is not mounted or has no group of this name.
  Result<CpuUse> cpu_use();

  /// Whether its processes are stopped by the freezer (docker pause), or about to be. On v1 this
  /// looks at the group of the same name in the freezer tree; false when there is none.
  Result<bool> frozen();

 private:
  struct V1Limits {
    int64_t memory;
    int64_t and_swap;
  };

  Group(Folder folder, const GroupPlace& place);
  Result<void> need(Controller controller, const char* call) const;
  Result<void> need_not_root(const char* file) const;
  Result<void> write_cpu(GroupFile& file, const std::string& text);
  Result<void> set_v1_cpu_limit(const CpuLimit& limit);
  Result<void> write_memory(GroupFile& file, int64_t bytes);
  Result<void> write_both(const V1Limits& wanted, const V1Limits& old);
  Result<void> lower_v2_memory(int64_t bytes, int64_t old_limit);
  Error too_small(int64_t bytes, const MemoryUse& use) const;

  Folder folder_;
  GroupPlace place_;
  bool root_ = false;
  std::optional<Folder> accounting_;
  std::optional<Folder> freezer_;
  GroupFile limit_;
  GroupFile period_;    // v1
  GroupFile and_swap_;  // v1
  GroupFile usage_;
  GroupFile stat_;
  GroupFile weight_;
  GroupFile peak_;
  GroupFile reclaim_;  // v2
  GroupFile freeze_;
  GroupFile events_;  // v2
};

/// "12345", or the word for no limit of that version.
std::string limit_text(int64_t value, bool v2);

}  // namespace pocket::cgroup
