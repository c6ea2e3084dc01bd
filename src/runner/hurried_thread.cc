#include "runner/hurried_thread.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace pocket::runner {
namespace {

// What the kernel takes (sched_setattr(2)); the C library knows it only since version 2.41.
struct Attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

/// What an engine starts while a call of this thread runs has the usual priority. And since Linux
/// 6.12 a thread that wakes up waits for the end of another's time slice unless its own is shorter,
/// whatever they weigh; earlier kernels do not look at `runtime`.
void go_first() {
  constexpr uint64_t kResetOnFork = 1;
  constexpr uint64_t kShortestSliceNs = 100'000;
  Attributes attributes{};
  attributes.size = sizeof(attributes);
  attributes.policy = SCHED_OTHER;
  attributes.flags = kResetOnFork;
  attributes.nice = ::getpriority(PRIO_PROCESS, 0);
  attributes.runtime = kShortestSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

std::unique_ptr<HurriedThread> HurriedThread::start(int usual) {
  if (::getpriority(PRIO_PROCESS, 0) >= usual) return nullptr;
  std::unique_ptr<HurriedThread> hurried(new HurriedThread());
  hurried->ready_.get_future().wait();  // later it may make no such system call
  // On Linux the priority is the thread's, and lowering it takes no right.
  ::setpriority(PRIO_PROCESS, 0, usual);
  return hurried;
}

HurriedThread::HurriedThread()
    : thread_([this, given = work_.get_future()]() mutable {
        go_first();
        ready_.set_value();
        if (const auto work = given.get()) work();
      }) {}

HurriedThread::~HurriedThread() {
  if (!given_) work_.set_value(nullptr);
  thread_.join();
}

void HurriedThread::run(std::function<void()> work) {
  given_ = true;
  work_.set_value(std::move(work));
}

}  // namespace pocket::runner
