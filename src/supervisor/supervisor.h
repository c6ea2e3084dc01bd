// Keeps one process running: starts it, waits for it, and starts it again when it dies abnormally.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "supervisor/keeper.h"
#include "supervisor/restarts.h"

namespace pocket::supervisor {

struct Options {
  /// The program and its arguments; "--ready-fd N" is added to them.
  std::vector<char*> command;
  /// Standard error is a terminal only until the first process is ready; from then on it is the log
  /// that the process named when it became ready.
  bool background = false;
  /// Gets "ready PID\n" when the first process is ready, and is then closed. May be none.
  UniqueFd ready;
};

/// One thread, nothing on the heap worth mentioning. SIGTERM and SIGINT are passed on and end the
/// supervision. The kernel ends the process with SIGTERM when the supervisor is killed. What
/// the process hands in (Keeper) the next one gets, and what it leaves running is reaped here.
class Supervisor {
 public:
  /// Takes over SIGTERM, SIGINT and SIGCHLD of this process.
  static Result<Supervisor> create(Options options);

  /// Returns once it is over, with the exit status to end with: the process's own when it ended in
  /// order or never became ready at all, 128 + signal after a signal, 1 when this gives up.
  int run();

 private:
  /// How a process ended.
  struct Ending {
    int status = 0;  // as from waitpid()
    bool ready = false;
    uint64_t life_ns = 0;
  };

  Supervisor(Options options, Keeper keeper)
      : options_(std::move(options)), keeper_(std::move(keeper)) {}
  Result<void> start();
  [[noreturn]] void become_program(int ready_fd, pid_t supervisor);
  Ending watch();
  void read_ready();
  void take_signal();
  bool reap();
  std::optional<int> after(const Ending& ending);
  bool pause(uint64_t delay_ns);

  Options options_;
  Keeper keeper_;
  UniqueFd signals_;
  sigset_t mask_before_{};
  Restarts restarts_;
  int stopping_ = 0;  // the signal that asked for the end
  std::string log_;   // the process's log file, where it writes one in the background

  // Of the process that runs.
  pid_t child_ = -1;
  UniqueFd ready_pipe_;
  bool ready_ = false;
  bool ever_ready_ = false;
  int status_ = 0;
  uint64_t started_ns_ = 0;
};

}  // namespace pocket::supervisor
