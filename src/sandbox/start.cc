#include "sandbox/start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sandbox/capabilities.h"

namespace pocket::sandbox {
namespace {

// What engines, the C library and sanitizers look at. Everything else of the service's environment
// is nobody's business in a runner.
constexpr std::string_view kKept[] = {"LANG",
                                      "LC_",
                                      "TZ",
                                      "LD_LIBRARY_PATH=",
                                      "GLIBC_TUNABLES=",
                                      "MALLOC_",
                                      "OMP_",
                                      "KMP_",
                                      "TBB_",
                                      "OV_",
                                      "OPENVINO_",
                                      "ORT_",
                                      "TF_",
                                      "ASAN_OPTIONS=",
                                      "LSAN_OPTIONS=",
                                      "UBSAN_OPTIONS=",
                                      "TSAN_OPTIONS="};

std::vector<char*> environment() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    for (const std::string_view prefix : kKept) {
      if (!text.starts_with(prefix)) continue;
      kept.push_back(*entry);
      break;
    }
  }
  kept.push_back(nullptr);
  return kept;
}

/// Everything the new process needs, made before it exists: between clone and exec only system
/// calls are safe, because other threads of the service may hold locks.
struct Plan {
  std::vector<char*> arguments;
  std::vector<char*> variables;
  int passed = -1;
  int output = -1;
  int nothing = -1;
  int failure = -1;  // where the number of what failed is written
  int priority = 0;
  char uid_map[32] = {};
  char gid_map[32] = {};
};

bool write_file(const char* path, const char* text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const auto bytes = static_cast<ssize_t>(std::strlen(text));
  const bool written = ::write(file, text, static_cast<size_t>(bytes)) == bytes;
  ::close(file);
  return written;
}

/// Tells the parent what failed.
[[noreturn]] void fail(int report) {
  const int failure = errno;
  (void)!::write(report, &failure, sizeof(failure));
  ::_exit(127);
}

void map_user(const Plan& plan, int report) {
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // else the maps belong to root
  // The first user of the namespace is who the service is outside; there are no others.
  if (!write_file("/proc/self/setgroups", "deny") ||
      !write_file("/proc/self/uid_map", plan.uid_map) ||
      !write_file("/proc/self/gid_map", plan.gid_map)) {
    fail(report);
  }
}

/// All from `first` on, once the program is there: until then what fails can still be told.
void close_at_exec(unsigned first) {
  if (::syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  const long most = ::sysconf(_SC_OPEN_MAX);
  for (long fd = first; fd < most; ++fd) ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
}

/// In the new process.
[[noreturn]] void become(const Plan& plan, bool user_namespace) {
  // What reports a failure must not lie where the passed descriptor goes.
  const int report = ::fcntl(plan.failure, F_DUPFD_CLOEXEC, kPassedFd + 1);
  if (report < 0) ::_exit(127);
  if (user_namespace) map_user(plan, report);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setpgid(0, 0);  // a Ctrl-C at the terminal is for the service, which then ends it in order
  if (::dup2(plan.nothing, STDIN_FILENO) < 0) fail(report);
  if (plan.output >= 0 && ::dup2(plan.output, STDOUT_FILENO) < 0) fail(report);
  if (plan.passed == kPassedFd) ::fcntl(kPassedFd, F_SETFD, 0);
  if (plan.passed >= 0 && ::dup2(plan.passed, kPassedFd) < 0) fail(report);
  if (plan.priority != 0) ::setpriority(PRIO_PROCESS, 0, plan.priority);
  close_at_exec(plan.passed >= 0 ? kPassedFd + 1 : kPassedFd);
  ::execve(plan.arguments[0], plan.arguments.data(), plan.variables.data());
  fail(report);
}

/// As fork, with namespaces. No CLONE_VM: the parent's threads go on.
pid_t clone_process(unsigned long flags, int& pidfd) {
  return static_cast<pid_t>(
      ::syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, nullptr, &pidfd, nullptr, nullptr));
}

struct Attempt {
  unsigned long flags;
  bool user_namespace;
};

/// From the most to the least isolation.
std::vector<Attempt> attempts(const Settings& settings) {
  std::vector<Attempt> list;
  const unsigned long processes = settings.wants(Protection::kProcesses) ? CLONE_NEWPID : 0;
  const bool any = processes != 0 || settings.wants(Protection::kNetwork) ||
                   settings.wants(Protection::kIpc) || settings.wants(Protection::kMounts);
  if (processes != 0 && may_make_namespaces()) list.push_back({processes, false});
  if (any && !may_make_namespaces()) list.push_back({processes | CLONE_NEWUSER, true});
  list.push_back({0, false});
  return list;
}

}  // namespace

Result<StartedProcess> start_process(const StartRequest& request, const Settings& settings) {
  const std::string& program = request.command.at(0);
  Plan plan;
  for (const auto& argument : request.command) {
    plan.arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  plan.arguments.push_back(nullptr);
  plan.variables = environment();
  plan.passed = request.passed;
  plan.output = request.output;
  plan.priority = request.priority;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing.valid()) return errno_error("opening /dev/null", errno);
  plan.nothing = nothing.get();
  fmt::format_to_n(plan.uid_map, sizeof(plan.uid_map) - 1, "0 {} 1", ::geteuid());
  fmt::format_to_n(plan.gid_map, sizeof(plan.gid_map) - 1, "0 {} 1", ::getegid());
  int last_failure = 0;
  for (const Attempt& attempt : attempts(settings)) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    plan.failure = writer.get();
    int pidfd = -1;
    const pid_t pid = clone_process(attempt.flags, pidfd);
    if (pid == 0) become(plan, attempt.user_namespace);
    if (pid < 0) {
      last_failure = errno;
      continue;
    }
    StartedProcess started{pid, UniqueFd(pidfd)};
    writer.reset();
    // The end of the pipe, which exec closes, says that it went well.
    ssize_t bytes = 0;
    do {
      bytes = ::read(reader.get(), &last_failure, sizeof(last_failure));
    } while (bytes < 0 && errno == EINTR);
    if (bytes == 0) return started;
    ::waitpid(pid, nullptr, 0);
    if (!attempt.user_namespace) break;  // without one it may still work
  }
  return errno_error(fmt::format("starting '{}'", program), last_failure);
}

}  // namespace pocket::sandbox
