#include "daemon/lender.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "daemon/channel.h"
#include "daemon/lender_work.h"
#include "ipc/region.h"

namespace pocket::daemon {
namespace {

/// Sleeps until the bell rings or the moment has come.
void sleep_until(int bell, uint64_t due_ns) {
  pollfd entry{bell, POLLIN, 0};
  timespec pause{};
  const uint64_t now = monotonic_ns();
  if (due_ns != kForever && due_ns > now) {
    pause.tv_sec = static_cast<time_t>((due_ns - now) / kNanosecondsPerSecond);
    pause.tv_nsec = static_cast<long>((due_ns - now) % kNanosecondsPerSecond);
  }
  if (::ppoll(&entry, 1, due_ns == kForever ? nullptr : &pause, nullptr) <= 0) return;
  eventfd_t rings = 0;
  (void)::eventfd_read(bell, &rings);
}

}  // namespace

Result<std::unique_ptr<Lender>> Lender::start(const std::string& ledger, const cgroup::Host& host,
                                              uint64_t linger_ns, UniqueFd bell,
                                              std::vector<std::string>& repaired) {
  std::unique_ptr<Lender> lender(new Lender());
  // Never waits, also not for a runner that reads it empty or fills it up.
  lender->bell_ =
      bell.valid() ? std::move(bell) : UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!lender->bell_.valid()) return errno_error("eventfd", errno);
  // Opened here, so that an early failure is reported; from now on it belongs to the thread.
  POCKET_ASSIGN_OR_RETURN(auto opened, Work::open(ledger, host, linger_ns));
  repaired = opened->repairs();
  // Signals are for the loop's thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  Lender* self = lender.get();
  lender->thread_ = std::thread([self, work = std::move(opened)] {
    ::pthread_setname_np(::pthread_self(), "lender");
    self->run(*work);
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return lender;
}

Lender::~Lender() {
  stopping_.store(true);
  ipc::ring_doorbell(bell_.get());
  if (thread_.joinable()) thread_.join();
}

void Lender::run(Work& work) {
  std::vector<std::function<void(Work&)>> tasks;
  while (true) {
    // Read before the tasks are taken: what was posted before the end is still done.
    const bool stopping = stopping_.load();
    {
      MutexLock lock(mutex_);
      tasks.swap(posted_);
    }
    for (auto& task : tasks) task(work);
    const bool did_something = !tasks.empty();
    tasks.clear();
    if (stopping) return;
    if (work.look() || did_something) continue;
    work.set_parked(true);
    if (!work.look()) sleep_until(bell_.get(), work.next_due_ns());
    work.set_parked(false);
    work.count_wakeup();
  }
}

void Lender::post(std::function<void(Work&)> task) {
  {
    MutexLock lock(mutex_);
    posted_.push_back(std::move(task));
  }
  ipc::ring_doorbell(bell_.get());
}

void Lender::add_runner(BorrowerSpec runner) {
  post([runner = std::move(runner)](Work& work) mutable { work.add_runner(std::move(runner)); });
}

void Lender::remove_runner(uint32_t runner, std::function<void()> done) {
  post([runner, done = std::move(done)](Work& work) {
    work.remove_runner(runner);
    done();
  });
}

void Lender::add_client(ClientSpec client) {
  post([client = std::move(client)](Work& work) mutable { work.add_client(std::move(client)); });
}

void Lender::remove_client(uint32_t runner, uint64_t session) {
  post([runner, session](Work& work) { work.remove_client(runner, session); });
}

void Lender::report(bool reconcile, std::function<void(wire::control::LeasesT)> done) {
  post([reconcile, done = std::move(done)](Work& work) { done(work.report(reconcile)); });
}

Result<UniqueFd> Lender::duplicate_bell() const { return duplicate(bell_); }

}  // namespace pocket::daemon
