#include "cli/run/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/clock.h"

namespace pocket::cli {
namespace {

enum Step : int { kReady, kGroup, kProcessors, kFolder, kOutput, kExec };

/// What the child says: once that it is ready to exec, and at any time that a step failed.
struct Word {
  int step = 0;
  int error = 0;
  uint64_t at_ns = 0;
};

[[noreturn]] void fail(int pipe, Step step) {
  const Word failure{step, errno, 0};
  [[maybe_unused]] const auto told = ::write(pipe, &failure, sizeof(failure));
  ::_exit(127);
}

/// False, and errno, where not all of them may be used; the kernel itself would take the rest.
bool restrict_to(const std::vector<int>& cpus) {
  constexpr int kMaximum = 4096;
  cpu_set_t* set = CPU_ALLOC(kMaximum);
  const size_t size = CPU_ALLOC_SIZE(kMaximum);
  CPU_ZERO_S(size, set);
  for (const int cpu : cpus) CPU_SET_S(static_cast<size_t>(cpu), size, set);
  if (::sched_setaffinity(0, size, set) != 0 || ::sched_getaffinity(0, size, set) != 0) {
    return false;
  }
  errno = EINVAL;
  return CPU_COUNT_S(size, set) == static_cast<int>(cpus.size());
}

/// In the child: waits for the word, then becomes the program.
[[noreturn]] void become(const Program& program, int go, int failure, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  char word = 0;
  ssize_t bytes = 0;
  do {
    bytes = ::read(go, &word, 1);
  } while (bytes < 0 && errno == EINTR);
  if (bytes != 1) ::_exit(127);  // the parent gave it up
  for (const auto& path : program.join_files) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.valid() || ::write(file.get(), "0", 1) != 1) fail(failure, kGroup);
  }
  if (!program.cpus.empty() && !restrict_to(program.cpus)) fail(failure, kProcessors);
  if (program.output) {
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || ::dup2(nothing, 0) < 0 || ::dup2(*program.output, 1) < 0 ||
        ::dup2(*program.output, 2) < 0) {
      fail(failure, kOutput);
    }
  }
  if (!program.workdir.empty() && ::chdir(program.workdir.c_str()) != 0) fail(failure, kFolder);
  for (const auto& variable : program.environment) {
    const size_t equals = variable.find('=');
    ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
  std::vector<char*> raw;
  for (const auto& argument : program.command) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const Word ready{kReady, 0, monotonic_ns()};
  if (::write(failure, &ready, sizeof(ready)) != sizeof(ready)) ::_exit(127);
  ::execvp(raw[0], raw.data());
  fail(failure, kExec);
}

}  // namespace

Result<Child> Child::create(const Program& program) {
  int go[2], failure[2];
  if (::pipe2(go, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd go_reader(go[0]), go_writer(go[1]);
  if (::pipe2(failure, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd failure_reader(failure[0]), failure_writer(failure[1]);
  Child child;
  child.command_ = program.command[0];
  child.workdir_ = program.workdir;
  const pid_t parent = ::getpid();
  child.pid_ = ::fork();
  if (child.pid_ < 0) return errno_error("fork (see ulimit -u)", errno);
  if (child.pid_ == 0) {
    go_writer.reset();
    become(program, go_reader.get(), failure_writer.get(), parent);
  }
  child.go_ = std::move(go_writer);
  child.go_reader_ = std::move(go_reader);
  child.failure_ = std::move(failure_reader);
  return child;
}

Child::Child(Child&& other) noexcept
    : command_(std::move(other.command_)),
      workdir_(std::move(other.workdir_)),
      pid_(std::exchange(other.pid_, -1)),
      go_(std::move(other.go_)),
      failure_(std::move(other.failure_)),
      go_reader_(std::move(other.go_reader_)) {}

Child::~Child() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<uint64_t> Child::execute() {
  if (::write(go_.get(), "g", 1) != 1) return errno_error("letting the program go", errno);
  go_.reset();
  Word failure;
  uint64_t exec_ns = 0;
  for (;;) {
    const ssize_t bytes = ::read(failure_.get(), &failure, sizeof(failure));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes == sizeof(failure) && failure.step == kReady) {
      exec_ns = failure.at_ns;
      continue;
    }
    failure_.reset();
    if (bytes == sizeof(failure)) break;
    if (exec_ns != 0) return exec_ns;  // exec closes the pipe, and so does death
    return Error{
        POCKET_UNAVAILABLE,
        fmt::format("'{}' was killed before it could start: is its memory limit too small?",
                    command_)};
  }
  switch (failure.step) {
    case kGroup:
      return errno_error("moving the program into its group", failure.error);
    case kProcessors:
      return errno_error("--index: not all of these processors may be used here (see nproc)",
                         failure.error);
    case kFolder:
      return errno_error(fmt::format("--workdir: entering '{}'", workdir_), failure.error);
    case kOutput:
      return errno_error("redirecting the output", failure.error);
    default:
      return errno_error(fmt::format("cannot start '{}'", command_), failure.error);
  }
}

}  // namespace pocket::cli
