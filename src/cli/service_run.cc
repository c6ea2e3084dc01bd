// pocketd in the foreground or in the background, with a supervisor that starts it again when it
// dies (docs/operations.md).
#include "cli/service_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "cli/local_service.h"

namespace pocket::cli {
namespace {

struct RunOptions {
  bool detach = false;
  bool supervise = false;
  bool no_supervise = false;
  std::string config, models, socket, engine_dir, log_level, log_file;
};

/// systemd starts pocketd again by itself, and wants to hear from it and not from another process.
bool under_systemd() {
  return std::getenv("NOTIFY_SOCKET") != nullptr || std::getenv("INVOCATION_ID") != nullptr;
}

bool is_supervised(const RunOptions& options) {
  return options.supervise || (!options.no_supervise && !under_systemd());
}

/// Beside this program, else the one on PATH.
std::string find_supervisor() {
  std::error_code error;
  const auto beside = std::filesystem::path(program_folder()) / "pocket-supervisor";
  return std::filesystem::exists(beside, error) ? beside.string() : "pocket-supervisor";
}

std::vector<std::string> pocketd_arguments(const RunOptions& options) {
  std::vector<std::string> arguments = {find_pocketd()};
  const auto add = [&](const char* flag, const std::string& value) {
    if (value.empty()) return;
    arguments.emplace_back(flag);
    arguments.push_back(value);
  };
  add("--config", options.config);
  add("--models", options.models);
  add("--socket", options.socket);
  add("--engine-dir", options.engine_dir);
  add("--log-level", options.log_level);
  add("--log-file", options.log_file);
  return arguments;
}

/// pocketd, or the supervisor that starts it. `ready_fd`: in the background, and who waits for it.
std::vector<std::string> service_arguments(const RunOptions& options, int ready_fd) {
  auto pocketd = pocketd_arguments(options);
  const std::vector<std::string> ready = {"--ready-fd", std::to_string(ready_fd)};
  if (ready_fd >= 0) pocketd.emplace_back("--background");
  if (!is_supervised(options)) {
    if (ready_fd >= 0) pocketd.insert(pocketd.end(), ready.begin(), ready.end());
    return pocketd;
  }
  std::vector<std::string> arguments = {find_supervisor()};
  if (ready_fd >= 0) {
    arguments.emplace_back("--background");
    arguments.insert(arguments.end(), ready.begin(), ready.end());
  }
  arguments.insert(arguments.end(), pocketd.begin(), pocketd.end());
  return arguments;
}

[[noreturn]] void execute(const std::vector<std::string>& arguments) {
  std::vector<char*> raw;
  for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  ::execvp(raw[0], raw.data());
  fmt::print(stderr, "pocket: cannot start '{}': {}\n", arguments[0],
             errno_error("exec", errno).message);
  ::_exit(1);
}

/// pocketd's process from "ready PID", as a supervisor says it; `otherwise` from pocketd's "ready".
pid_t pid_in(std::string_view text, pid_t otherwise) {
  constexpr std::string_view kReady = "ready ";
  if (!text.starts_with(kReady)) return otherwise;
  pid_t pid = otherwise;
  (void)std::from_chars(text.data() + kReady.size(), text.data() + text.size(), pid);
  return pid;
}

/// Starts the service in a session of its own and returns once it says that it is ready. Its
/// failure to start is told on this terminal; its log is a file.
Result<int> run_detached(const RunOptions& options) {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const UniqueFd reader(ready[0]);
  UniqueFd writer(ready[1]);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    ::setsid();
    const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(nothing.get(), 0);
    ::dup2(nothing.get(), 1);
    ::fcntl(writer.get(), F_SETFD, 0);  // the service inherits this one
    execute(service_arguments(options, writer.get()));
  }
  writer.reset();
  std::array<char, 64> text{};
  ssize_t bytes = 0;
  do {
    bytes = ::read(reader.get(), text.data(), text.size());
  } while (bytes < 0 && errno == EINTR);
  if (bytes > 0) {
    const pid_t pid = pid_in({text.data(), static_cast<size_t>(bytes)}, child);
    fmt::print("pocketd is ready (process {})\n", pid);
    return 0;
  }
  return Error{POCKET_UNAVAILABLE, "pocketd ended before it was ready; its message is above"};
}

}  // namespace

void add_service_run_command(CLI::App& service, Action& action) {
  auto options = std::make_shared<RunOptions>();
  auto* run = service.add_subcommand("run", "Run the service, and start it again when it dies");
  run->add_flag("-d,--detach", options->detach, "In the background; returns when it is ready");
  run->add_option("--config", options->config, "TOML configuration file")->type_name("FILE");
  run->add_option("--models", options->models, "Folder of the model repository")->type_name("DIR");
  run->add_option("--socket", options->socket, "Socket to listen on")->type_name("PATH");
  run->add_option("--engine-dir", options->engine_dir, "Folder of the engines")->type_name("DIR");
  run->add_option("--log-level", options->log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  run->add_option("--log-file", options->log_file, "Log to a file")->type_name("FILE");
  auto* supervise = run->add_flag("--supervise", options->supervise,
                                  "Start it again when it dies, also where systemd started this");
  run->add_flag("--no-supervise", options->no_supervise,
                "Do not start it again when it dies (the default where systemd started this)")
      ->excludes(supervise);
  run->callback([&action, options] {
    action = [options]() -> Result<int> {
      if (options->detach) return run_detached(*options);
      execute(service_arguments(*options, -1));
    };
  });
}

}  // namespace pocket::cli
