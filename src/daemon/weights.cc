#include "daemon/weights.h"

#include <spdlog/spdlog.h>

#include <filesystem>

namespace pocket::daemon {

int64_t Weights::of(const std::string& group) const {
  auto opened = host_.open(cgroup::Controller::kCpu, group);
  const auto shares = opened.ok() ? opened->cpu_shares() : Result<int64_t>(opened.error());
  return shares.ok() ? *shares : cgroup::kUsualCpuShares;
}

void Weights::set(const std::string& group, int64_t shares, std::span<const std::string> above) {
  const auto known = set_.find(group);
  if (of(group) != (known == set_.end() ? cgroup::kUsualCpuShares : known->second)) return;
  auto opened = host_.open(cgroup::Controller::kCpu, group);
  const auto done = opened.ok() ? opened->set_cpu_shares(shares) : Result<void>(opened.error());
  if (!done.ok()) {
    spdlog::debug("the weight of a runner stays: {}", done.error().message);
    return;
  }
  set_[group] = of(group);
  if (above.empty()) return;
  int64_t sum = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(above.front(), error)) {
    if (entry.is_directory(error)) sum += of(entry.path());
  }
  set(above.front(), sum, above.subspan(1));
}

}  // namespace pocket::daemon
