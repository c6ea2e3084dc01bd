#include "runner/turnstile.h"

#include "base/clock.h"

namespace pocket::runner {

bool Turnstile::enter(bool alone, uint64_t deadline_ns) {
  MutexLock lock(mutex_);
  if (alone) waiting_alone_ += 1;
  bool free = false;
  while (!(free = !alone_ && (alone ? inside_ == 0 : waiting_alone_ == 0)) &&
         monotonic_ns() < deadline_ns) {
    changed_.wait_until(mutex_, deadline_ns);
  }
  if (alone) waiting_alone_ -= 1;
  if (free) {
    inside_ += 1;
    alone_ = alone;
  } else if (alone) {
    changed_.notify_all();  // nobody waits for it any more
  }
  return free;
}

void Turnstile::leave(bool alone) {
  MutexLock lock(mutex_);
  inside_ -= 1;
  if (alone) alone_ = false;
  if (inside_ == 0) changed_.notify_all();
}

}  // namespace pocket::runner
