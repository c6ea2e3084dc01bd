// For tests: a child process that uses memory or processor time when told to.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>
#include <vector>

#include "base/unique_fd.h"

namespace pocket::cgroup {

/// Killed and reaped at the end; it dies with the test too. One order at a time, each is answered.
class RealChild {
 public:
  enum class Order : char {
    kTouch = 't',  // use `amount` more bytes of memory
    kWrite = 'w',  // write `amount` bytes to a file, so that they lie in the page cache
    kBurn = 'b',   // use `amount` nanoseconds of processor time
    kFork = 'f',   // start a child of its own that only waits
  };

  explicit RealChild(const char* file = nullptr) {
    int orders[2];
    int answers[2];
    if (::pipe2(orders, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(orders[1]);
      ::close(answers[0]);
      obey(orders[0], answers[1], file);
    }
    ::close(orders[0]);
    ::close(answers[1]);
    orders_.reset(orders[1]);
    answers_.reset(answers[0]);
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  }
  RealChild(const RealChild&) = delete;
  RealChild& operator=(const RealChild&) = delete;
  ~RealChild() { end(); }

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }

  /// False when the child died of it.
  bool tell(Order order, uint64_t amount = 0) {
    char text[9] = {static_cast<char>(order)};
    __builtin_memcpy(text + 1, &amount, sizeof(amount));
    char answer = 0;
    return ::write(orders_.get(), text, sizeof(text)) == sizeof(text) &&
           ::read(answers_.get(), &answer, 1) == 1 && answer == 'y';
  }
  void kill() { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }
  /// Waits until it has died, and leaves it a zombie.
  void wait_dead() {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  void end() {
    if (pid_ <= 0) return;
    kill();
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  static uint64_t own_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
  }

  [[noreturn]] static void obey(int orders, int answers, const char* file) {
    char text[9];
    while (::read(orders, text, sizeof(text)) == sizeof(text)) {
      uint64_t amount = 0;
      __builtin_memcpy(&amount, text + 1, sizeof(amount));
      char answer = 'y';
      switch (static_cast<Order>(text[0])) {
        case Order::kTouch: {
          void* memory = ::mmap(nullptr, amount, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
          if (memory == MAP_FAILED) answer = 'n';
          break;
        }
        case Order::kWrite: {
          const std::vector<char> bytes(1 << 16, 'x');
          const int out = ::open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
          for (uint64_t done = 0; done < amount; done += bytes.size()) {
            if (::write(out, bytes.data(), bytes.size()) < 0) answer = 'n';
          }
          if (::fsync(out) != 0 || ::close(out) != 0) answer = 'n';
          break;
        }
        case Order::kBurn: {
          const uint64_t until = own_time() + amount;
          while (own_time() < until) {
          }
          break;
        }
        case Order::kFork:
          if (::fork() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (true) ::pause();
          }
          break;
      }
      if (::write(answers, &answer, 1) != 1) break;
    }
    ::_exit(0);
  }

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd orders_;
  UniqueFd answers_;
};

}  // namespace pocket::cgroup
