#include "cli/bench/processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/clock.h"

namespace pocket::cli {

Result<AppProcess> AppProcess::start(std::vector<std::string> arguments,
                                     const std::vector<std::string>& environment,
                                     cgroup::OwnedGroup* group) {
  int to_child[2], from_child[2], placed[2];
  if (::pipe2(to_child, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd child_input(to_child[0]), input(to_child[1]);
  if (::pipe2(from_child, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd output(from_child[0]), child_output(from_child[1]);
  if (::pipe2(placed, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const UniqueFd child_waits(placed[0]);
  UniqueFd in_place(placed[1]);
  std::vector<std::string> variables = environment;
  std::vector<char*> raw;
  raw.reserve(arguments.size() + 1);
  for (auto& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  AppProcess process;
  process.name_ = arguments[0];
  process.started_ns_ = monotonic_ns();
  const pid_t parent = ::getpid();
  process.pid_ = ::fork();
  if (process.pid_ < 0) return errno_error("fork", errno);
  if (process.pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    for (auto& variable : variables) ::putenv(variable.data());
    in_place.reset();
    char byte = 0;
    (void)!::read(child_waits.get(), &byte, 1);  // returns once the parent has closed its end
    ::dup2(child_input.get(), 0);
    ::dup2(child_output.get(), 1);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  if (group != nullptr) POCKET_RETURN_IF_ERROR(group->add(process.pid_));
  in_place.reset();
  process.input_ = std::move(input);
  process.output_ = std::move(output);
  return process;
}

AppProcess::AppProcess(AppProcess&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      started_ns_(other.started_ns_),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      buffer_(std::move(other.buffer_)) {}

AppProcess::~AppProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<std::string> AppProcess::read_line() {
  for (;;) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    char text[65536];
    const ssize_t bytes = ::read(output_.get(), text, sizeof(text));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) {
      return Error{POCKET_UNAVAILABLE,
                   fmt::format("'{}' ended early; its message is above", name_)};
    }
    buffer_.append(text, static_cast<size_t>(bytes));
  }
}

Result<void> AppProcess::wait_until_ready() {
  POCKET_ASSIGN_OR_RETURN(const std::string line, read_line());
  if (line == "ready") return ok_result();
  return Error{POCKET_DATA_LOSS, fmt::format("'{}' said '{}', not 'ready'", name_, line)};
}

void AppProcess::release() {
  if (::write(input_.get(), "\n", 1) != 1) input_.reset();
}

Result<nlohmann::json> AppProcess::finish() {
  POCKET_ASSIGN_OR_RETURN(const std::string line, read_line());
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  auto json = nlohmann::json::parse(line, nullptr, false);
  if (status != 0 || json.is_discarded()) {
    return Error{POCKET_DATA_LOSS, fmt::format("'{}' failed or wrote no JSON", name_)};
  }
  return json;
}

}  // namespace pocket::cli
