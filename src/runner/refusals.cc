#include "runner/refusals.h"

#include <utility>

namespace pocket::runner {
namespace {

constexpr size_t kMostText = 400;

}  // namespace

void Refusals::add(uint64_t session, uint32_t model, RefusalKind kind, pocket_status status,
                   const std::string& message) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = !std::exchange(told_, true);
    const Key key{session, model, kind};
    auto found = entries_.find(key);
    if (found == entries_.end() && entries_.size() >= kMostEntries) {
      left_out_ += 1;
    } else {
      if (found == entries_.end()) {
        found = entries_.emplace(key, RefusedCalls{session, model, kind, 0, status, {}}).first;
      }
      found->second.count += 1;
      found->second.status = status;
      found->second.message.assign(message, 0, kMostText);
    }
  }
  if (first && tell_) tell_();
}

std::vector<RefusedCalls> Refusals::take(uint64_t& left_out) {
  std::vector<RefusedCalls> taken;
  MutexLock lock(mutex_);
  left_out = std::exchange(left_out_, 0);
  while (!entries_.empty() && taken.size() < kMostTaken) {
    taken.push_back(std::move(entries_.extract(entries_.begin()).mapped()));
  }
  if (taken.empty() && left_out == 0) told_ = false;
  return taken;
}

}  // namespace pocket::runner
