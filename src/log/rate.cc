#include "log/rate.h"

#include <algorithm>

namespace pocket::log {

void Rate::fill(Entry& entry, uint64_t now_ns) const {
  const auto passed_ns = static_cast<double>(now_ns - std::min(now_ns, entry.filled_ns));
  entry.left = std::min(most(), entry.left + passed_ns * per_second_ / 1e9);
  entry.filled_ns = now_ns;
}

bool Rate::allow(const Key& key, uint64_t now_ns, uint64_t count) {
  if (per_second_ <= 0) return true;
  auto [found, fresh] = entries_.try_emplace(key);
  Entry& entry = found->second;
  if (fresh) entry = {most(), now_ns, 0};
  fill(entry, now_ns);
  if (entry.left < 1) {
    entry.left_out += count;
    any_ = true;
    return false;
  }
  entry.left -= 1;
  return true;
}

std::vector<Rate::LeftOut> Rate::take_left_out(uint64_t now_ns) {
  std::vector<LeftOut> taken;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    fill(entry->second, now_ns);
    const bool quiet = entry->second.left_out == 0 && entry->second.left >= most();
    if (entry->second.left_out > 0) {
      taken.push_back({entry->first, std::exchange(entry->second.left_out, 0)});
    }
    entry = quiet ? entries_.erase(entry) : std::next(entry);
  }
  any_ = false;
  return taken;
}

}  // namespace pocket::log
