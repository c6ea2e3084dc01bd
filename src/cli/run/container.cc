#include "cli/run/container.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/unique_fd.h"
#include "client/session.h"

namespace pocket::cli {
namespace {

struct Answer {
  int status = 0;  // as a shell shows it
  std::string output;
  std::string errors;
};

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Reads both pipes to their ends: neither fills up while the other is waited for.
void drain(UniqueFd output, UniqueFd errors, Answer& answer) {
  pollfd pipes[2] = {{output.get(), POLLIN, 0}, {errors.get(), POLLIN, 0}};
  std::string* texts[2] = {&answer.output, &answer.errors};
  for (int open = 2; open > 0;) {
    if (::poll(pipes, 2, -1) < 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      char part[4096];
      const ssize_t bytes = ::read(pipes[i].fd, part, sizeof(part));
      if (bytes > 0) {
        texts[i]->append(part, static_cast<size_t>(bytes));
      } else if (bytes == 0 || errno != EINTR) {
        pipes[i].fd = -1;
        --open;
      }
    }
  }
}

/// Runs a program to its end and keeps what it wrote.
Result<Answer> ask(const std::vector<std::string>& command) {
  int output[2], errors[2];
  if (::pipe2(output, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd output_reader(output[0]), output_writer(output[1]);
  if (::pipe2(errors, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd errors_reader(errors[0]), errors_writer(errors[1]);
  std::vector<char*> raw;
  for (const auto& argument : command) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;  // whoever waits for signals has blocked them
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(nothing, 0);
    ::dup2(output_writer.get(), 1);
    ::dup2(errors_writer.get(), 2);
    ::execvp(raw[0], raw.data());
    ::dprintf(2, "cannot start '%s': %s", raw[0], ::strerrordesc_np(errno));
    ::_exit(127);
  }
  output_writer.reset();
  errors_writer.reset();
  Answer answer;
  drain(std::move(output_reader), std::move(errors_reader), answer);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  answer.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  answer.output = trimmed(answer.output);
  answer.errors = trimmed(answer.errors);
  return answer;
}

Error failed(const std::vector<std::string>& command, const Answer& answer) {
  // Both engines say it in these words; anything else means that they could not be asked.
  const bool none = answer.errors.find("No such") != std::string::npos ||
                    answer.errors.find("no such") != std::string::npos;
  return Error{none ? POCKET_NOT_FOUND : POCKET_UNAVAILABLE,
               fmt::format("`{} {}` failed with status {}: {}", command[0], command[1],
                           answer.status, answer.errors)};
}

Result<std::string> output_of(const std::vector<std::string>& command) {
  POCKET_ASSIGN_OR_RETURN(auto answer, ask(command));
  if (answer.status != 0) return failed(command, answer);
  return std::move(answer.output);
}

/// Where the container sees the service: -v and POCKET_SOCKET. The folder is mounted, not the
/// socket, so that a service that is started again is found again.
Result<std::vector<std::string>> socket_arguments(const std::string& wanted) {
  const std::string name = wanted == "default" ? client::default_socket_path() : wanted;
  std::error_code error;
  const auto socket = std::filesystem::absolute(name, error);
  struct stat status {};
  if (::stat(socket.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("--share-socket: '{}' is not the socket of a service: start one with "
                             "`pocket service run`, or name its socket",
                             socket.string())};
  }
  const std::string folder = socket.parent_path().string();
  if (folder.find(',') != std::string::npos || folder.find('"') != std::string::npos) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("--share-socket: '{}' cannot be mounted: its name holds ',' or '\"'", folder)};
  }
  return std::vector<std::string>{
      "--mount", fmt::format("type=bind,source={},target=/run/pocket,readonly", folder), "--env",
      "POCKET_SOCKET=/run/pocket/" + socket.filename().string()};
}

}  // namespace

Result<std::string> choose_engine(const std::string& wanted) {
  std::vector<std::string> said;
  for (const std::string engine : {"docker", "podman"}) {
    if (wanted != "auto" && wanted != engine) continue;
    POCKET_ASSIGN_OR_RETURN(const auto answer, ask({engine, "version"}));
    if (answer.status == 0) return engine;
    said.push_back(fmt::format("{}: {}", engine, answer.errors));
  }
  return Error{
      POCKET_UNAVAILABLE,
      fmt::format("no container engine answers; install or start one, or leave --image out "
                  "to run a plain process\n{}",
                  fmt::join(said, "\n"))};
}

Result<std::vector<std::string>> container_command(const std::string& engine,
                                                   const RunOptions& options,
                                                   const std::string& name) {
  std::vector<std::string> command = {engine, "run"};
  const auto add = [&](std::initializer_list<std::string> more) {
    command.insert(command.end(), more);
  };
  // A container in the background stays until somebody has asked for its exit status.
  add({options.detach ? "--detach" : "--rm", "--name", name, "--network", options.network});
  const auto& limits = options.limits;
  if (limits.memory_bytes != 0) add({"--memory", std::to_string(limits.memory_bytes)});
  if (limits.cpus != 0) add({"--cpus", fmt::format("{}", limits.cpus)});
  if (!limits.cpu_list.empty()) add({"--cpuset-cpus", limits.cpu_list});
  if (limits.oom_kill_disable) add({"--oom-kill-disable"});
  if (!options.workdir.empty()) add({"--workdir", options.workdir});
  for (const auto& volume : options.volumes) add({"--volume", volume});
  for (const auto& variable : client_environment(options)) add({"--env", variable});
  if (!options.share_socket.empty()) {
    POCKET_ASSIGN_OR_RETURN(const auto shared, socket_arguments(options.share_socket));
    command.insert(command.end(), shared.begin(), shared.end());
  }
  command.push_back(options.image);
  command.insert(command.end(), options.command.begin(), options.command.end());
  return command;
}

Result<std::string> start_detached(const std::vector<std::string>& command) {
  POCKET_ASSIGN_OR_RETURN(auto answer, ask(command));
  if (!answer.errors.empty()) fmt::print(stderr, "{}\n", answer.errors);  // progress of a pull, too
  if (answer.status == 0) return std::move(answer.output);
  // It may have been made before it failed to start; its id is the last line then.
  const std::string id = answer.output.substr(answer.output.rfind('\n') + 1);
  if (!id.empty()) (void)remove_container(command[0], id);
  return Error{POCKET_UNAVAILABLE,
               fmt::format("`{} run` failed with status {}; its message is above", command[0],
                           answer.status)};
}

Result<ContainerState> inspect_container(const std::string& engine, const std::string& container) {
  POCKET_ASSIGN_OR_RETURN(
      const auto text,
      output_of({engine, "inspect", "--type", "container", "--format",
                 "{{.State.Running}} {{.State.Pid}} {{.State.ExitCode}}", container}));
  std::istringstream fields(text);
  ContainerState state;
  if (fields >> std::boolalpha >> state.running >> state.pid >> state.exit_status) return state;
  return Error{POCKET_DATA_LOSS, fmt::format("`{} inspect` answered '{}'", engine, text)};
}

Result<int> wait_for_container(const std::string& engine, const std::string& container) {
  POCKET_ASSIGN_OR_RETURN(const auto text, output_of({engine, "wait", container}));
  int status = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), status);
  if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size()) return status;
  return Error{POCKET_DATA_LOSS, fmt::format("`{} wait` answered '{}'", engine, text)};
}

Result<void> remove_container(const std::string& engine, const std::string& container) {
  const auto removed = output_of({engine, "rm", "--force", container});
  if (removed.ok() || removed.error().code == POCKET_NOT_FOUND) return ok_result();
  return removed.error();
}

}  // namespace pocket::cli
