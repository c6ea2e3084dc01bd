#include "runner/hurried_thread.h"

#include <sched.h>
#include <sys/resource.h>

#include <utility>

namespace pocket::runner {
namespace {

/// What an engine starts while a call of this thread runs has the usual priority.
void keep_priority_to_itself() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
}

}  // namespace

std::unique_ptr<HurriedThread> HurriedThread::start(int usual) {
  if (::getpriority(PRIO_PROCESS, 0) >= usual) return nullptr;
  std::unique_ptr<HurriedThread> hurried(new HurriedThread());
  // On Linux the priority is the thread's, and lowering it takes no right.
  ::setpriority(PRIO_PROCESS, 0, usual);
  return hurried;
}

HurriedThread::HurriedThread()
    : thread_([given = work_.get_future()]() mutable {
        keep_priority_to_itself();
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
