#include "runner/resting.h"

#include <malloc.h>

#include <algorithm>

namespace pocket::runner {

void Resting::add(RunnerModel& model, uint64_t now_ns) {
  if (!model.gives_back()) return;
  auto shared = model.shared_from_this();
  MutexLock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) {
    const auto other = entry.model.lock();
    return other == nullptr || other == shared;
  });
  entries_.push_back({std::move(shared), now_ns + kRestsNs});
  first_ns_.store(entries_.front().due_ns);
}

int Resting::due_ms(uint64_t now_ns) const {
  const uint64_t first_ns = first_ns_.load();
  if (first_ns == UINT64_MAX) return -1;
  return first_ns <= now_ns ? 0 : static_cast<int>((first_ns - now_ns + 999'999) / 1'000'000);
}

void Resting::give_back(uint64_t now_ns) {
  if (first_ns_.load() > now_ns) return;
  std::vector<std::shared_ptr<RunnerModel>> due;
  {
    MutexLock lock(mutex_);
    const auto later =
        std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.due_ns > now_ns; });
    for (auto entry = entries_.begin(); entry != later; ++entry) {
      if (auto model = entry->model.lock()) due.push_back(std::move(model));
    }
    entries_.erase(entries_.begin(), later);
    first_ns_.store(entries_.empty() ? UINT64_MAX : entries_.front().due_ns);
  }
  bool given = false;
  for (const auto& model : due) {
    // One that was called since comes here again when that call has ended.
    if (model->counters().last_call_ns.load() + kRestsNs > now_ns) continue;
    given = model->give_back() || given;
  }
  if (given) ::malloc_trim(0);
}

}  // namespace pocket::runner
