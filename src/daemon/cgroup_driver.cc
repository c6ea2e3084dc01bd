#include "daemon/cgroup_driver.h"

namespace pocket::daemon {
namespace {

// What a lender keeps above what it uses, so that it can go on while its memory is away. v1 counts
// in batches of up to 64 pages for each processor, which is within this.
constexpr int64_t kHeadroomBytes = int64_t{2} << 20;

class CpuFile final : public lease::LimitFile {
 public:
  explicit CpuFile(cgroup::Group group) : group_(std::move(group)) {}
  Result<lease::Limit> read() override {
    POCKET_ASSIGN_OR_RETURN(const cgroup::CpuLimit limit, group_.cpu_limit());
    return lease::Limit{limit.quota_us, limit.period_us};
  }
  Result<void> write(int64_t amount) override { return group_.set_cpu_quota(amount); }
  Result<int64_t> spare(const lease::Limit& now) override {
    return now.amount - cgroup::kSmallestQuotaUs;
  }

 private:
  cgroup::Group group_;
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
