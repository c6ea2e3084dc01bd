// The processor side of Group.
#include <algorithm>
#include <cerrno>

#include "cgroup/group.h"
#include "cgroup/mounts.h"

namespace pocket::cgroup {
namespace {

constexpr int64_t kUsualV2Weight = 100;

Result<CpuLimit> read_v2_limit(GroupFile& file, const Folder& folder) {
  char buffer[64];
  POCKET_ASSIGN_OR_RETURN(const std::string_view text, file.read(folder, buffer));
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) {
    return Error{POCKET_DATA_LOSS, "reading 'cpu.max' of " + folder.title() + ": '" +
                                       std::string(text) + "' is not 'quota period'"};
  }
  CpuLimit limit;
  POCKET_ASSIGN_OR_RETURN(limit.period_us, parse_number(text.substr(space + 1), folder, "cpu.max"));
  if (!text.starts_with("max ")) {
    POCKET_ASSIGN_OR_RETURN(limit.quota_us, parse_number(text, folder, "cpu.max"));
  }
  return limit;
}

Result<void> check(const CpuLimit& limit, const Folder& folder) {
  const bool quota_good = limit.quota_us == -1 || limit.quota_us >= kSmallestQuotaUs;
  const bool period_good =
      limit.period_us >= kSmallestPeriodUs && limit.period_us <= kLargestPeriodUs;
  if (quota_good && period_good) return ok_result();
  return Error{POCKET_INVALID_ARGUMENT,
               "a CPU limit of " + std::to_string(limit.quota_us) + " us in " +
                   std::to_string(limit.period_us) + " us for " + folder.title() +
                   ": the quota must be -1 or at least 1000 us, the period 1000 to 1000000 us"};
}

/// Who stands in the way when v1 refuses a quota: the nearest parent with one, for the message.
std::string limit_above(const std::string& path) {
  for (std::string parent = path.substr(0, path.rfind('/')); parent.size() > 1;
       parent.resize(parent.rfind('/'))) {
    auto quota = read_text(parent + "/cpu.cfs_quota_us");
    auto period = read_text(parent + "/cpu.cfs_period_us");
    if (!quota.ok() || !period.ok()) break;
    if (quota->starts_with("-")) continue;
    return "'" + parent + "' has " + quota->substr(0, quota->find('\n')) + " us in " +
           period->substr(0, period->find('\n')) + " us";
  }
  return "no parent has a quota";
}

}  // namespace

bool smaller(const CpuLimit& a, const CpuLimit& b) {
  if (!a.limited() || !b.limited()) return a.limited();
  return static_cast<__int128>(a.quota_us) * b.period_us <
         static_cast<__int128>(b.quota_us) * a.period_us;
}

Result<CpuLimit> Group::cpu_limit() {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "cpu_limit"));
  POCKET_ASSIGN_OR_RETURN(const bool has_limit, limit_.exists(folder_));
  if (!has_limit) return CpuLimit{};
  if (folder_.v2) return read_v2_limit(limit_, folder_);
  CpuLimit limit;
  POCKET_ASSIGN_OR_RETURN(limit.quota_us, limit_.read_number(folder_));
  POCKET_ASSIGN_OR_RETURN(limit.period_us, period_.read_number(folder_));
  return limit;
}

Result<int64_t> Group::cpu_quota() {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "cpu_quota"));
  return limit_.read_number(folder_);
}

Result<void> Group::write_cpu(GroupFile& file, const std::string& text) {
  int failed_with = 0;
  auto done = file.write(folder_, text, &failed_with);
  if (done.ok() || failed_with != EINVAL) return done;
  Error error = std::move(done).error();
  error.code = POCKET_FAILED_PRECONDITION;
  if (!folder_.v2) {
    error.message +=
        "; v1 lets no group have a larger share than its parents, or a smaller one "
        "than its children: " +
        limit_above(folder_.path) +
        "; raise the parent's quota first, or lower the children's first";
  }
  return error;
}

Result<void> Group::set_cpu_quota(int64_t quota_us) {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "set_cpu_quota"));
  POCKET_RETURN_IF_ERROR(need_not_root("CPU quota"));
  POCKET_RETURN_IF_ERROR(check(CpuLimit{quota_us}, folder_));
  // On v2 a single number leaves the period as it is.
  return write_cpu(limit_, limit_text(quota_us, folder_.v2));
}

Result<void> Group::set_cpu_limit(const CpuLimit& limit) {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "set_cpu_limit"));
  POCKET_RETURN_IF_ERROR(need_not_root("CPU limit"));
  POCKET_RETURN_IF_ERROR(check(limit, folder_));
  if (!folder_.v2) return set_v1_cpu_limit(limit);
  return write_cpu(limit_,
                   limit_text(limit.quota_us, true) + " " + std::to_string(limit.period_us));
}

Result<void> Group::set_v1_cpu_limit(const CpuLimit& limit) {
  POCKET_ASSIGN_OR_RETURN(const CpuLimit old, cpu_limit());
  const std::string quota = limit_text(limit.quota_us, false);
  const std::string period = std::to_string(limit.period_us);
  if (old.period_us == limit.period_us) return write_cpu(limit_, quota);
  // In between either old quota with new period holds, or the reverse: take the smaller share,
  // which is a longer period first or a shorter one last. Unlimited is reached at once, left last.
  const bool period_first = limit.limited() && (!old.limited() || limit.period_us > old.period_us);
  if (period_first) {
    POCKET_RETURN_IF_ERROR(write_cpu(period_, period));
    auto done = write_cpu(limit_, quota);
    if (!done.ok()) (void)write_cpu(period_, std::to_string(old.period_us));
    return done;
  }
  POCKET_RETURN_IF_ERROR(write_cpu(limit_, quota));
  auto done = write_cpu(period_, period);
  if (!done.ok()) (void)write_cpu(limit_, limit_text(old.quota_us, false));
  return done;
}

Result<int64_t> Group::cpu_shares() {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "cpu_shares"));
  POCKET_ASSIGN_OR_RETURN(const int64_t weight, weight_.read_number(folder_));
  return folder_.v2 ? weight * kUsualCpuShares / kUsualV2Weight : weight;
}

Result<void> Group::set_cpu_shares(int64_t shares) {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "set_cpu_shares"));
  POCKET_RETURN_IF_ERROR(need_not_root("CPU weight"));
  shares = std::clamp<int64_t>(shares, 2, kMostCpuShares);
  if (folder_.v2) {
    constexpr int64_t kMostV2Weight = 10'000;
    shares = std::clamp<int64_t>(shares * kUsualV2Weight / kUsualCpuShares, 1, kMostV2Weight);
  }
  return weight_.write(folder_, std::to_string(shares));
}

Result<CpuUse> Group::cpu_use() {
  POCKET_RETURN_IF_ERROR(need(Controller::kCpu, "cpu_use"));
  char buffer[4096];
  POCKET_ASSIGN_OR_RETURN(const std::string_view stat, stat_.read(folder_, buffer));
  CpuUse use;
  use.periods = stat_value(stat, "nr_periods");
  use.throttled_periods = stat_value(stat, "nr_throttled");
  if (folder_.v2) {
    use.usage_ns = stat_value(stat, "usage_usec") * 1000;
    use.throttled_ns = stat_value(stat, "throttled_usec") * 1000;
    return use;
  }
  use.throttled_ns = stat_value(stat, "throttled_time");
  if (!accounting_) {
    auto folder = place_.accounting.empty()
                      ? Result<Folder>(Error{POCKET_NOT_FOUND, "cpuacct is not mounted"})
                      : Folder::open(place_.accounting, Controller::kCpu, false);
    if (!folder.ok()) {
      return Error{POCKET_FAILED_PRECONDITION, "processor time of " + folder_.title() +
                                                   " is unknown: " + folder.error().message +
                                                   "; make the group in the cpuacct tree too"};
    }
    accounting_ = std::move(folder).value();
  }
  POCKET_ASSIGN_OR_RETURN(const int64_t usage, usage_.read_number(*accounting_));
  use.usage_ns = static_cast<uint64_t>(usage);
  return use;
}

}  // namespace pocket::cgroup
