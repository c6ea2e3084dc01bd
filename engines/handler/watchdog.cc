#include "watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"

namespace pocket::handler_engine {
namespace {

constexpr uint64_t kLookNs = 50'000'000;
// Handlers that follow each other within this time find the thread awake: waking it costs a call
// into the kernel.
constexpr uint64_t kAwakeNs = kNanosecondsPerSecond;
// What a look adds to the time that a handler is overdue: a process that stood still for minutes is
// no handler that does not end.
constexpr uint64_t kMostPassedNs = 2 * kLookNs;

// pocketd tells them apart (src/daemon/runner_process.cc): on a busy machine an honest request may
// overrun the little time that its client gives it, but not the time that is enough for all.
constexpr int kEnded = 86;
constexpr int kOverranItsLimit = 87;

[[noreturn]] void end_process(const std::string& why, int status = kEnded) {
  fmt::print(stderr,
             "handler: {}: this runner ends, its models are loaded anew when they are asked for\n",
             why);
  std::fflush(stderr);
  ::_exit(status);
}

}  // namespace

Watchdog& Watchdog::instance() {
  static auto* watchdog = new Watchdog();
  return *watchdog;
}

Watchdog::Watch::Watch(const char* what, uint64_t deadline_ns, uint64_t grace_ns,
                       int32_t (*cancelled)(const void* host), const void* host)
    : what_(what),
      deadline_ns_(deadline_ns),
      grace_ns_(grace_ns),
      cancelled_(cancelled),
      host_(host) {
  instance().add(this);
}

Watchdog::Watch::~Watch() { instance().remove(this); }

void Watchdog::add(Watch* watch) {
  MutexLock lock(mutex_);
  watches_.push_back(watch);
  if (!started_) {
    started_ = true;
    std::thread([this] { work(); }).detach();
  } else if (asleep_) {
    changed_.notify_one();
  }
}

void Watchdog::remove(Watch* watch) {
  MutexLock lock(mutex_);
  std::erase(watches_, watch);
}

void Watchdog::end_soon(const std::string& why) {
  fmt::print(stderr, "handler: {}\n", why);
  MutexLock lock(mutex_);
  if (end_ns_ == 0) end_ns_ = monotonic_ns() + kNanosecondsPerSecond;
  changed_.notify_one();
}

void Watchdog::look(uint64_t now, uint64_t passed_ns) {
  for (Watch* watch : watches_) {
    const bool gone = watch->cancelled_ != nullptr && watch->cancelled_(watch->host_) != 0;
    const bool overdue = gone || now > watch->deadline_ns_;
    // Without interruption: a model that the handler waits for starts its time again.
    watch->overdue_ns_ = overdue && !watch->waiting_.load() ? watch->overdue_ns_ + passed_ns : 0;
    if (watch->overdue_ns_ >= std::max<uint64_t>(watch->grace_ns_, 1)) {
      const bool late = now > watch->deadline_ns_;
      end_process(
          fmt::format("{} went on for {} ms after {}", watch->what_, watch->overdue_ns_ / 1'000'000,
                      late ? "its deadline" : "nobody waited for it any more"),
          late && watch->is_limit_.load() ? kOverranItsLimit : kEnded);
    }
  }
}

void Watchdog::work() {
  MutexLock lock(mutex_);
  uint64_t busy_ns = monotonic_ns();  // when a handler was last seen running
  uint64_t last_ns = busy_ns;
  while (true) {
    const uint64_t now = monotonic_ns();
    look(now, std::min(now - last_ns, kMostPassedNs));
    last_ns = now;
    // The answer of the last call is given by another thread: it gets one more round.
    const bool quiet = watches_.empty() && now - busy_ns > kLookNs;
    if (!watches_.empty()) busy_ns = now;
    if (end_ns_ != 0 && (quiet || now > end_ns_)) end_process("it used more memory than it may");
    if (watches_.empty() && end_ns_ == 0 && now - busy_ns > kAwakeNs) {
      asleep_ = true;
      changed_.wait(mutex_);
      asleep_ = false;
      busy_ns = last_ns = monotonic_ns();
    } else {
      changed_.wait_until(mutex_, now + kLookNs);
    }
  }
}

}  // namespace pocket::handler_engine
