#include "cli/bench/client_set.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

namespace pocket::cli {
namespace {

constexpr int64_t kPeriodUs = 100'000;

}  // namespace

GroupUse& GroupUse::operator+=(const GroupUse& other) {
  cpu_seconds += other.cpu_seconds;
  periods += other.periods;
  throttled_periods += other.throttled_periods;
  return *this;
}

Result<GroupMeter> GroupMeter::start(cgroup::Group group) {
  GroupMeter meter(std::move(group));
  POCKET_ASSIGN_OR_RETURN(meter.before_, meter.group_.cpu_use());
  return meter;
}

Result<GroupUse> GroupMeter::read() {
  POCKET_ASSIGN_OR_RETURN(const cgroup::CpuUse now, group_.cpu_use());
  GroupUse use;
  use.cpu_seconds = static_cast<double>(now.usage_ns - before_.usage_ns) / 1e9;
  use.periods = now.periods - before_.periods;
  use.throttled_periods = now.throttled_periods - before_.throttled_periods;
  return use;
}

Result<std::unique_ptr<ClientSet>> ClientSet::start(const cgroup::Host& host, const Share& share,
                                                    const std::vector<Client>& clients) {
  static int next = 0;
  std::unique_ptr<ClientSet> set(new ClientSet());
  set->host_ = &host;
  for (const Client& client : clients) {
    cgroup::OwnedGroup* group = nullptr;
    if (share.cpus > 0) {
      POCKET_ASSIGN_OR_RETURN(cgroup::OwnedGroup made,
                              host.create(fmt::format("pocket-bench-{}-{}", ::getpid(), next++)));
      set->groups_.push_back(std::make_unique<cgroup::OwnedGroup>(std::move(made)));
      group = set->groups_.back().get();
      if (share.memory_bytes > 0) {
        POCKET_RETURN_IF_ERROR(
            group->memory().set_memory_limit(static_cast<int64_t>(share.memory_bytes)));
      }
      POCKET_RETURN_IF_ERROR(
          group->cpu().set_cpu_limit({std::llround(share.cpus * kPeriodUs), kPeriodUs}));
    }
    POCKET_ASSIGN_OR_RETURN(auto process,
                            AppProcess::start(client.arguments, client.environment, group));
    set->processes_.push_back(std::move(process));
  }
  return set;
}

Result<void> ClientSet::get_ready() {
  for (auto& process : processes_) POCKET_RETURN_IF_ERROR(process.wait_until_ready());
  return ok_result();
}

void ClientSet::release() {
  for (auto& group : groups_) {
    auto counted = host_->open(cgroup::Controller::kCpu, group->cpu().path());
    auto meter =
        counted.ok() ? GroupMeter::start(std::move(*counted)) : Result<GroupMeter>(counted.error());
    if (meter.ok()) meters_.push_back(std::move(*meter));
  }
  for (auto& process : processes_) process.release();
}

Result<std::vector<nlohmann::json>> ClientSet::finish() {
  std::vector<nlohmann::json> reports;
  for (auto& process : processes_) {
    POCKET_ASSIGN_OR_RETURN(auto report, process.finish());
    reports.push_back(std::move(report));
  }
  return reports;
}

Result<GroupUse> ClientSet::use() {
  GroupUse sum;
  for (auto& meter : meters_) {
    POCKET_ASSIGN_OR_RETURN(const GroupUse use, meter.read());
    sum += use;
  }
  return sum;
}

}  // namespace pocket::cli
