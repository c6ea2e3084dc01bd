#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "base/clock.h"
#include "supervisor/log.h"

namespace pocket::supervisor {
namespace {

constexpr int kCannotStart = 1;  // exit status of a child whose program could not be executed
constexpr int kReplaceMe = 75;   // of one that wants its program, as it is now, started instead

std::string describe(int status) {
  if (WIFSIGNALED(status)) {
    return "was killed by signal " + std::to_string(WTERMSIG(status)) + " (" +
           ::strsignal(WTERMSIG(status)) + ")";
  }
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

int exit_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string seconds(uint64_t ns) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(ns) / 1e9);
  return text.data();
}

int milliseconds_until(uint64_t due_ns) {
  const uint64_t now = monotonic_ns();
  return due_ns <= now ? 0 : static_cast<int>((due_ns - now) / 1'000'000) + 1;
}

}  // namespace

Result<Supervisor> Supervisor::create(Options options) {
  POCKET_ASSIGN_OR_RETURN(Keeper keeper, Keeper::create());
  Supervisor supervisor(std::move(options), std::move(keeper));
  supervisor.on_terminal_ = !supervisor.options_.background && ::isatty(STDERR_FILENO) == 1;
  // Runners that a process left behind come to this one when they end.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, &supervisor.mask_before_) != 0) {
    return errno_error("sigprocmask", errno);
  }
  supervisor.signals_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!supervisor.signals_.valid()) return errno_error("signalfd", errno);
  return supervisor;
}

int Supervisor::run() {
  while (true) {
    Ending ending;
    if (auto started = start(); started.ok()) {
      ending = watch();
    } else {
      say("error", started.error().message);
      ending.status = W_EXITCODE(kCannotStart, 0);
    }
    if (const auto over = after(ending)) return *over;
  }
}

Result<void> Supervisor::start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return errno_error("pipe", errno);
  ready_pipe_.reset(ends[0]);
  const UniqueFd writer(ends[1]);
  const pid_t supervisor = ::getpid();
  ready_ = false;
  started_ns_ = monotonic_ns();
  child_ = ::fork();
  if (child_ < 0) return errno_error("fork", errno);
  if (child_ == 0) become_program(writer.get(), supervisor);
  return ok_result();
}

/// In the child.
void Supervisor::become_program(int ready_fd, pid_t supervisor) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != supervisor) ::_exit(kCannotStart);  // it died before the line above
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  keeper_.hand_over(&ready_fd);
  auto command = options_.command;
  std::string flag = "--ready-fd", number = std::to_string(ready_fd);
  command.insert(command.end(), {flag.data(), number.data(), nullptr});
  ::execvp(command[0], command.data());
  say("error", errno_error("cannot start '" + std::string(command[0]) + "'", errno).message);
  ::_exit(kCannotStart);
}

Supervisor::Ending Supervisor::watch() {
  while (true) {
    std::array<pollfd, 3> entries = {{{signals_.get(), POLLIN, 0},
                                      {ready_pipe_.get(), POLLIN, 0},
                                      {keeper_.socket(), POLLIN, 0}}};
    if (::poll(entries.data(), entries.size(), -1) < 0) continue;
    // First of all: one that became ready and died at once has been ready.
    if (entries[1].revents != 0) read_ready();
    if (entries[2].revents != 0) keeper_.take_in();
    if (entries[0].revents != 0) take_signal();
    if (reap()) return {status_, ready_, monotonic_ns() - started_ns_};
  }
}

/// "ready\n", then "log PATH\n" from a process in the background, and "format json\n" where its log
/// is; one write.
void Supervisor::read_ready() {
  std::array<char, PATH_MAX + 64> bytes{};
  const ssize_t count = ::read(ready_pipe_.get(), bytes.data(), bytes.size());
  if (count < 0 && errno == EAGAIN) return;
  ready_pipe_.reset();
  if (count <= 0) return;
  ready_ = ever_ready_ = true;
  const std::string_view text(bytes.data(), static_cast<size_t>(count));
  constexpr std::string_view kLog = "\nlog ";
  if (const size_t at = text.find(kLog); at != std::string_view::npos) {
    const std::string_view path = text.substr(at + kLog.size());
    log_ = path.substr(0, path.find('\n'));
  }
  say_json(text.find("\nformat json\n") != std::string_view::npos);
  if (options_.background) log_to("/dev/null");
  if (options_.ready.valid()) {
    const std::string line = "ready " + std::to_string(child_) + "\n";
    (void)!::write(options_.ready.get(), line.data(), line.size());
    options_.ready.reset();
  }
}

void Supervisor::take_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;  // see reap()
    // SIGHUP is for pocketd, which reads its configuration anew; from a terminal it is the end of
    // that, and of what runs in its foreground.
    const bool ends = signal != SIGHUP || on_terminal_;
    if (ends) stopping_ = signal;
    if (child_ > 0) ::kill(child_, ends && signal == SIGHUP ? SIGTERM : signal);
  }
}

/// Also reaps what it inherits as the first process of a container. True: the process has ended.
bool Supervisor::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != child_) continue;
    read_ready();
    keeper_.take_in();  // what it said last
    status_ = status;
    child_ = -1;
    return true;
  }
  return false;
}

/// The exit status where it is over; otherwise returns when the next process is to be started.
std::optional<int> Supervisor::after(const Ending& ending) {
  if (stopping_ != 0) return exit_status(ending.status);
  const bool exited = !WIFSIGNALED(ending.status);
  if (exited && WEXITSTATUS(ending.status) == 0) return 0;
  // What it does not like at its very first start is told to whoever starts it.
  if (exited && !ever_ready_) return WEXITSTATUS(ending.status);
  if (options_.background && !log_.empty()) log_to(log_);
  if (exited && ending.ready && WEXITSTATUS(ending.status) == kReplaceMe) {
    say("info", "pocketd is replaced by the program that is installed now");
    return std::nullopt;
  }
  const std::string what = "pocketd " + describe(ending.status) + " after " +
                           seconds(ending.life_ns) + (ending.ready ? "" : ", before it was ready");
  const auto delay = restarts_.delay_ns(ending.ready, ending.life_ns);
  if (!delay) {
    say("error",
        what + "; gives up, because it did not become ready " +
            std::to_string(Restarts::kMostUnready) +
            " times in a row: see what it says above, then run `pocket service run` again");
    return 1;
  }
  say("warning", what + "; started again " + (*delay == 0 ? "now" : "in " + seconds(*delay)));
  if (!pause(*delay)) return 128 + stopping_;
  return std::nullopt;
}

/// False: somebody wants the end meanwhile.
bool Supervisor::pause(uint64_t delay_ns) {
  const uint64_t due = monotonic_ns() + delay_ns;
  do {
    pollfd entry{signals_.get(), POLLIN, 0};
    if (::poll(&entry, 1, milliseconds_until(due)) > 0) take_signal();
    (void)reap();
    if (stopping_ != 0) return false;
  } while (monotonic_ns() < due);
  return true;
}

}  // namespace pocket::supervisor
