// pocketd: the control plane of Pocket.
#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "daemon/descriptors.h"
#include "daemon/protections.h"
#include "daemon/service.h"
#include "daemon/service_manager.h"

namespace pocket::daemon {
namespace {

struct CommandLine {
  std::string config_file;
  std::optional<std::string> socket, models, engine_dir, runner, log_level, log_file;
  int ready_fd = -1;
  bool background = false;
};

void define_options(CLI::App& app, CommandLine& line) {
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--config", line.config_file, "TOML configuration file")->type_name("FILE");
  app.add_option("--socket", line.socket, "Unix socket to listen on")->type_name("PATH");
  app.add_option("--models", line.models, "Folder of the model repository")->type_name("DIR");
  app.add_option("--engine-dir", line.engine_dir, "Folder of the engine plugins")->type_name("DIR");
  app.add_option("--runner", line.runner, "The pocket-runner program")->type_name("PATH");
  app.add_option("--ready-fd", line.ready_fd, "Descriptor that gets 'ready' when it is so")
      ->type_name("N");
  app.add_flag("--background", line.background,
               "Log beside the socket unless told where, and close standard error once ready");
  app.add_option("--log-level", line.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-file", line.log_file, "Log to a file instead of standard error")
      ->type_name("FILE");
}

Result<Config> make_config(const CommandLine& line) {
  Config config;
  if (!line.config_file.empty()) {
    POCKET_RETURN_IF_ERROR(read_config_file(line.config_file, config));
  }
  if (line.socket) config.socket = *line.socket;
  if (line.models) config.models = *line.models;
  if (line.engine_dir) config.engine_dir = *line.engine_dir;
  if (line.runner) config.runner = *line.runner;
  if (line.log_level) config.log.level = *line.log_level;
  if (line.log_file) config.log.file = *line.log_file;
  POCKET_RETURN_IF_ERROR(complete_config(config));
  if (line.background && config.log.file.empty()) {
    config.log.file = std::filesystem::path(config.socket).parent_path() / "pocketd.log";
    config.log.rotate = true;
  }
  return config;
}

Result<UniqueFd> watch_signals(EventLoop& loop, Service& service) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return errno_error("signalfd", errno);
  POCKET_RETURN_IF_ERROR(loop.watch(fd.get(), EPOLLIN, [&service, raw = fd.get()](uint32_t) {
    signalfd_siginfo info{};
    if (::read(raw, &info, sizeof(info)) <= 0) return;
    if (info.ssi_signo == SIGHUP) {
      (void)service.reload();  // which logs what came of it
    } else {
      service.shut_down();
    }
  }));
  return fd;
}

/// In one write; a supervisor wants to know where the log is as well, and how its lines look.
void tell_ready(int fd, const Config& config, bool background) {
  if (fd < 0) return;
  std::string text = "ready\n";
  if (background) {
    std::error_code error;
    const auto path = std::filesystem::absolute(config.log.file, error);
    text += "log " + path.string() + "\n";
  }
  if (config.log.format == "json") text += "format json\n";
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    spdlog::warn("nobody waits for readiness");
  }
  ::close(fd);
}

/// In the background: keeps where a start that fails is told to this process. The runners, which
/// may be started before it is ready, must not hold open what somebody reads to its end.
UniqueFd take_standard_error() {
  UniqueFd taken(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  const UniqueFd nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  ::dup2(nothing.get(), STDERR_FILENO);
  return taken;
}

/// What an earlier pocketd left, or a fresh start.
Result<Survival> survive(Keeper keeper) {
  UniqueFd left = keeper.take_left("state");
  if (left.valid()) {
    auto adopted = State::adopt(std::move(left));
    if (adopted.ok()) return Survival{std::move(keeper), std::move(*adopted)};
    spdlog::warn("{}", adopted.error().message);
    keeper.drop("state");
  }
  // Without it nothing that is left can be understood: runners end, clients connect anew.
  keeper.drop_left();
  POCKET_ASSIGN_OR_RETURN(State state, State::create());
  keeper.keep("state", state.memory());
  return Survival{std::move(keeper), std::move(state)};
}

Result<void> serve(Config& config, const CommandLine& line, Keeper keeper, UniqueFd& told) {
  const int ready_fd = line.ready_fd;
  const bool background = line.background;
  POCKET_RETURN_IF_ERROR(log::set_up(log_settings(config.log)));
  raise_descriptor_limit();
  if (auto given_up = give_up_privileges(); !given_up.ok()) {
    spdlog::warn("this service keeps its privileges: {}", given_up.error().message);
  }
  ::signal(SIGPIPE, SIG_IGN);
  POCKET_ASSIGN_OR_RETURN(auto loop, EventLoop::create());
  POCKET_ASSIGN_OR_RETURN(Survival survival, survive(std::move(keeper)));
  Service service(*loop, config, survival, [&line] { return make_config(line); });
  POCKET_ASSIGN_OR_RETURN(const UniqueFd signals, watch_signals(*loop, service));
  POCKET_RETURN_IF_ERROR(service.start([&config, ready_fd, background, &told] {
    told.reset();
    tell_ready(ready_fd, config, background);
    tell_service_manager("READY=1");
  }));
  loop->run();
  loop->forget(signals.get());
  if (!service.failure().empty()) return Error{POCKET_FAILED_PRECONDITION, service.failure()};
  spdlog::info("ended");
  return ok_result();
}

}  // namespace
}  // namespace pocket::daemon

int main(int argc, char** argv) {
  using namespace pocket::daemon;
  CLI::App app("pocketd: shares one ML runtime among the clients of a machine");
  app.set_version_flag("--version", std::string(POCKET_VERSION_TEXT));
  take_service_manager();
  Keeper keeper = Keeper::take();
  CommandLine line;
  define_options(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  pocket::UniqueFd told;
  if (line.background) told = take_standard_error();
  auto config = make_config(line);
  auto served = config.ok() ? serve(*config, line, std::move(keeper), told)
                            : pocket::Result<void>(config.error());
  if (served.ok()) return 0;
  ::dprintf(told.valid() ? told.get() : STDERR_FILENO, "pocketd: %s\n",
            served.error().message.c_str());
  return 1;
}
