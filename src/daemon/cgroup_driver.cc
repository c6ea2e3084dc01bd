#include "daemon/cgroup_driver.h"

#include "base/clock.h"

namespace pocket::daemon {
namespace {

// What a lender keeps above what it uses, so that it can go on while its memory is away. v1 counts
// in batches of up to 64 pages for each processor, which is within this.
constexpr int64_t kHeadroomBytes = int64_t{2} << 20;
// A period that changed alone is noticed after this. Loans made meanwhile come home exactly, as
// they are counted in each file's own unit; only their size is that of the old period.
constexpr uint64_t kPeriodTrustedNs = 50'000'000;

class CpuFile final : public lease::LimitFile {
 public:
  explicit CpuFile(cgroup::Group group) : group_(std::move(group)) {}
  Result<lease::Limit> read() override {
    // v1 has two files, and reading costs about as much as writing. Whoever changes the period
    // changes the quota with it as a rule, so a known quota stands for a known period for a while.
    const uint64_t now_ns = monotonic_ns();
    if (!group_.v2() && now_ns - looked_ns_ < kPeriodTrustedNs) {
      POCKET_ASSIGN_OR_RETURN(const int64_t quota, group_.cpu_quota());
      if (quota == known_.amount) return known_;
    }
    POCKET_ASSIGN_OR_RETURN(const cgroup::CpuLimit limit, group_.cpu_limit());
    known_ = lease::Limit{limit.quota_us, limit.period_us};
    looked_ns_ = now_ns;
    return known_;
  }
  Result<void> write(int64_t amount) override {
    known_.amount = amount;
    return group_.set_cpu_quota(amount);
  }
  Result<int64_t> spare(const lease::Limit& now) override {
    return now.amount - cgroup::kSmallestQuotaUs;
  }

 private:
  cgroup::Group group_;
  lease::Limit known_;      // as last read, or written
  uint64_t looked_ns_ = 0;  // when the period was last read
};

class MemoryFile final : public lease::LimitFile {
 public:
  explicit MemoryFile(cgroup::Group group) : group_(std::move(group)) {}
  Result<lease::Limit> read() override {
    POCKET_ASSIGN_OR_RETURN(const int64_t bytes, group_.memory_limit());
    return lease::Limit{bytes, 0};
  }
  Result<void> write(int64_t amount) override { return group_.set_memory_limit(amount); }
  Result<int64_t> spare(const lease::Limit& now) override {
    POCKET_ASSIGN_OR_RETURN(const uint64_t usage, group_.memory_usage());
    const int64_t free = now.amount - static_cast<int64_t>(usage) - kHeadroomBytes;
    // What could be reclaimed is costly to ask for, and matters only to a group that is rather
    // full.
    if (free > now.amount - now.amount / 8) return free;
    POCKET_ASSIGN_OR_RETURN(const cgroup::MemoryUse use, group_.memory_use());
    return free + static_cast<int64_t>(use.reclaimable);
  }

 private:
  cgroup::Group group_;
};

}  // namespace

Result<std::unique_ptr<lease::LimitFile>> CgroupDriver::open(lease::Resource resource,
                                                             const std::string& name) {
  const bool cpu = resource == lease::Resource::kCpu;
  POCKET_ASSIGN_OR_RETURN(
      cgroup::Group group,
      host_.open(cpu ? cgroup::Controller::kCpu : cgroup::Controller::kMemory, name));
  std::unique_ptr<lease::LimitFile> file;
  if (cpu) {
    file = std::make_unique<CpuFile>(std::move(group));
  } else {
    file = std::make_unique<MemoryFile>(std::move(group));
  }
  return file;
}

}  // namespace pocket::daemon
