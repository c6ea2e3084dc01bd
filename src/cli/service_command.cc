// pocket service run | kill | status
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/unique_fd.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "cli/local_service.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct RunOptions {
  bool detach = false;
  std::string config, models, socket, engine_dir, log_level, log_file;
};

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

[[noreturn]] void execute(const std::vector<std::string>& arguments) {
  std::vector<char*> raw;
  for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  ::execvp(raw[0], raw.data());
  fmt::print(stderr, "pocket: cannot start '{}': {}\n", arguments[0],
             errno_error("exec", errno).message);
  ::_exit(1);
}

/// Starts pocketd in a session of its own and returns once it says that it is ready. Its failure to
/// start is told on this terminal; its log is a file.
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
    ::fcntl(writer.get(), F_SETFD, 0);  // pocketd inherits this one
    auto arguments = pocketd_arguments(options);
    arguments.insert(arguments.end(), {"--background", "--ready-fd", std::to_string(writer.get())});
    execute(arguments);
  }
  writer.reset();
  char text[8];
  ssize_t bytes = 0;
  do {
    bytes = ::read(reader.get(), text, sizeof(text));
  } while (bytes < 0 && errno == EINTR);
  if (bytes > 0) {
    fmt::print("pocketd is ready (process {})\n", child);
    return 0;
  }
  return Error{POCKET_UNAVAILABLE, "pocketd ended before it was ready; its message is above"};
}

Result<int> kill_service(const ServiceOptions& options, int timeout_s) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.socket));
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, status.pid, 0)));
  POCKET_RETURN_IF_ERROR(stop_service(*session));
  pollfd entry{process.get(), POLLIN, 0};
  if (process.valid() && ::poll(&entry, 1, timeout_s * 1000) != 1) {
    return Error{POCKET_DEADLINE_EXCEEDED,
                 fmt::format("process {} still drains after {} s", status.pid, timeout_s)};
  }
  return 0;
}

json status_json(const wire::control::StatusT& status) {
  json sessions = json::array();
  for (const auto& session : status.sessions) {
    sessions.push_back({{"session", session->session},
                        {"pid", session->pid},
                        {"uid", session->uid},
                        {"name", session->name},
                        {"channels", session->channels},
                        {"region_bytes", session->region_bytes}});
  }
  json runners = json::array();
  for (const auto& runner : status.runners) {
    runners.push_back({{"pid", runner->pid},
                       {"engine", runner->engine},
                       {"models", runner->models},
                       {"restarts", runner->restarts},
                       {"memory_bytes", runner->memory_bytes}});
  }
  return {{"version", status.service_version},
          {"pid", status.pid},
          {"uptime_seconds", status.uptime_seconds},
          {"socket", status.socket},
          {"models", status.models_dir},
          {"ready", status.ready},
          {"sessions", sessions},
          {"runners", runners},
          {"notes", status.notes}};
}

Result<int> show_status(const ServiceOptions& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.socket));
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
  if (!options.json.empty()) {
    POCKET_RETURN_IF_ERROR(write_json(options.json, status_json(status)));
    return 0;
  }
  fmt::print("pocketd {} (process {}), {} for {:.0f} s\nsocket  {}\nmodels  {}\n",
             status.service_version, status.pid, status.ready ? "ready" : "not ready",
             status.uptime_seconds, status.socket, status.models_dir);
  for (const auto& runner : status.runners) {
    fmt::print("runner  {} {} {:.1f} MB: {}\n", runner->pid, runner->engine,
               static_cast<double>(runner->memory_bytes) / 1e6, fmt::join(runner->models, ", "));
  }
  for (const auto& client : status.sessions) {
    fmt::print("client  {} (process {}, user {}): {} open models, {:.1f} MB of regions\n",
               client->name, client->pid, client->uid, client->channels,
               static_cast<double>(client->region_bytes) / 1e6);
  }
  for (const auto& note : status.notes) fmt::print("note    {}\n", note);
  return 0;
}

void add_run(CLI::App& service, Action& action) {
  auto options = std::make_shared<RunOptions>();
  auto* run = service.add_subcommand("run", "Run the service");
  run->add_flag("-d,--detach", options->detach, "In the background; returns when it is ready");
  run->add_option("--config", options->config, "TOML configuration file")->type_name("FILE");
  run->add_option("--models", options->models, "Folder of the model repository")->type_name("DIR");
  run->add_option("--socket", options->socket, "Socket to listen on")->type_name("PATH");
  run->add_option("--engine-dir", options->engine_dir, "Folder of the engines")->type_name("DIR");
  run->add_option("--log-level", options->log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  run->add_option("--log-file", options->log_file, "Log to a file")->type_name("FILE");
  run->callback([&action, options] {
    action = [options]() -> Result<int> {
      if (options->detach) return run_detached(*options);
      execute(pocketd_arguments(*options));
    };
  });
}

}  // namespace

void add_service_command(CLI::App& app, Action& action) {
  auto* service = app.add_subcommand("service", "Run, end and look at the service");
  service->require_subcommand(1);
  add_run(*service, action);

  auto kill_options = std::make_shared<ServiceOptions>();
  auto timeout = std::make_shared<int>(30);
  auto* kill = service->add_subcommand("kill", "End the service after the calls in flight");
  kill->add_option("--socket", kill_options->socket, "Socket of the service")->type_name("PATH");
  kill->add_option("--timeout", *timeout, "Seconds to wait for its end")
      ->check(CLI::Range(1, 3600));
  kill->callback([&action, kill_options, timeout] {
    action = [kill_options, timeout] { return kill_service(*kill_options, *timeout); };
  });

  auto status_options = std::make_shared<ServiceOptions>();
  auto* status = service->add_subcommand("status", "Show clients, runners and models");
  add_service_options(*status, *status_options);
  status->callback([&action, status_options] {
    action = [status_options] { return show_status(*status_options); };
  });
}

}  // namespace pocket::cli
