#include "runner/hurried_thread.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <iostream>
#include <thread>

namespace pocket::runner {
namespace {

constexpr int kRaised = -10;
constexpr int kSkipped = 77;

int priority() { return ::getpriority(PRIO_PROCESS, 0); }

/// Processor time of the calling thread, in seconds.
double used() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Runs `body` in a process of its own that has the raised priority, as pocketd starts a runner;
/// its threads are nobody else's. Exit status 0: `body` returned true.
template <typename Body>
int in_raised_process(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setpriority(PRIO_PROCESS, 0, kRaised) != 0) ::_exit(kSkipped);
    ::_exit(body() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define EXPECT_IN_RAISED_PROCESS(...)                                                \
  do {                                                                               \
    const int status = in_raised_process(__VA_ARGS__);                               \
    if (status == kSkipped) GTEST_SKIP() << "raising a priority needs CAP_SYS_NICE"; \
    EXPECT_EQ(status, 0);                                                            \
  } while (false)

TEST(HurriedThread, IsNotStartedWithTheUsualPriority) {
  EXPECT_EQ(HurriedThread::start(priority()), nullptr);
}

TEST(HurriedThread, AloneKeepsThePriority) {
  EXPECT_IN_RAISED_PROCESS([] {
    auto hurried = HurriedThread::start(0);
    if (hurried == nullptr || priority() != 0) return false;
    int its = 1, child_of_its = 1, other = 1;
    hurried->run([&] {
      its = priority();
      std::thread([&] { child_of_its = priority(); }).join();
    });
    hurried.reset();
    std::thread([&] { other = priority(); }).join();
    return its == kRaised && child_of_its == 0 && other == 0;
  });
}

TEST(HurriedThread, EndsWithoutWork) {
  EXPECT_IN_RAISED_PROCESS([] { return HurriedThread::start(0) != nullptr; });
}

TEST(HurriedThread, HasTheProcessorOfTwoThatWantIt) {
  EXPECT_IN_RAISED_PROCESS([] {
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<size_t>(::sched_getcpu()), &here);
    if (::sched_setaffinity(0, sizeof(here), &here) != 0) return false;  // its threads inherit it
    auto hurried = HurriedThread::start(0);
    std::atomic<bool> done{false};
    double its = 0;
    hurried->run([&] {
      while ((its = used()) < 0.2) {
      }
      done = true;
    });
    const double before = used();
    while (!done) {
    }
    const double others = used() - before;
    hurried.reset();
    std::cout << "processor time: " << its << " s hurried, " << others << " s beside it\n";
    return its > 3 * others;
  });
}

}  // namespace
}  // namespace pocket::runner
