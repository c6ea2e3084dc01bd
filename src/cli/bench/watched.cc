#include "cli/bench/watched.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <set>
#include <vector>

#include "base/clock.h"
#include "cgroup/host.h"
#include "cli/local_service.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;

/// Names in a folder that a measurement of the process would have made there.
std::vector<std::string> left_in(const std::string& folder, pid_t child) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    for (const char* prefix :
         {"pocket-bench", "pocket-bench-lend", "pocket-bench-lent", LocalService::kFolderPrefix}) {
      const std::string mine = fmt::format("{}-{}", prefix, child);
      if (name == mine || name.starts_with(mine + "-")) names.push_back(name);
    }
  }
  return names;
}

/// What the child started is told to end by the kernel (PR_SET_PDEATHSIG) and takes a moment.
void clean_up(pid_t child) {
  const cgroup::Host host = cgroup::Host::detect();
  const uint64_t deadline = deadline_after(3 * kNanosecondsPerSecond);
  std::set<std::string> groups;
  for (const auto controller : cgroup::kBoth) {
    const std::string top = host.mount_point(controller);
    if (top.empty()) continue;
    for (const auto& name : left_in(top, child)) groups.insert(name);
  }
  for (const auto& name : groups) {
    while (!host.remove_stale(name).ok() && monotonic_ns() < deadline) ::usleep(10'000);
  }
  const std::string temporary = fs::temp_directory_path();
  std::error_code error;
  for (const auto& name : left_in(temporary, child)) fs::remove_all(temporary + "/" + name, error);
}

}  // namespace

Result<int> watched(const Action& measure) {
  sigset_t told;
  sigset_t before;
  sigemptyset(&told);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&told, number);
  ::sigprocmask(SIG_BLOCK, &told, &before);
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    // Ctrl-C goes to every process of the terminal: this one is ended by its parent.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGINT, SIG_IGN);
    auto done = measure();
    if (!done.ok()) std::fprintf(stderr, "pocket: %s\n", done.error().message.c_str());
    std::fflush(nullptr);
    ::_exit(done.ok() ? *done : 1);
  }
  for (;;) {
    siginfo_t what{};
    if (::sigwaitinfo(&told, &what) < 0) continue;
    const bool ended_early = what.si_signo != SIGCHLD;
    if (ended_early) ::kill(child, SIGKILL);
    int status = 0;
    if (::waitpid(child, &status, ended_early ? 0 : WNOHANG) != child) continue;
    if (!ended_early && WIFEXITED(status)) return WEXITSTATUS(status);
    clean_up(child);
    std::fprintf(stderr, "pocket: the measurement was ended early; what it had made is removed\n");
    return 128 + (ended_early ? what.si_signo : WTERMSIG(status));
  }
}

}  // namespace pocket::cli
