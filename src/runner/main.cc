// pocket-runner: the data plane of Pocket. Started by pocketd, never by hand.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/clock.h"
#include "log/log.h"
#include "runner/control.h"

namespace pocket::runner {
namespace {

/// What a model could be made to do ends here: no new privileges, no core dump with clients' data.
void give_up_privileges() {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

/// Answers the first thing pocketd asks with `error`, so that clients learn why.
void tell_first_request(int socket, const Error& error) {
  auto packet = ipc::receive_packet_until(socket, deadline_after(10 * kNanosecondsPerSecond));
  auto message = packet.ok() ? wire::decode_message(packet->bytes)
                             : Result<wire::control::MessageT>(packet.error());
  if (!message.ok()) return;
  wire::control::FailedT failed;
  failed.status = error.code;
  failed.message = error.message;
  (void)ipc::send_packet(socket, wire::encode_message(message->id, std::move(failed)));
}

Result<void> serve(const std::string& engine, const std::string& engine_dir, int control_fd) {
  UniqueFd socket(control_fd);
  auto loaded = engine::Plugin::load(engine_dir, engine);
  if (!loaded.ok()) {
    tell_first_request(socket.get(), loaded.error());
    return std::move(loaded).error();
  }
  engine::Plugin plugin = *loaded;
  POCKET_ASSIGN_OR_RETURN(auto workers, Workers::create());
  Control control(std::move(socket), plugin, engine_dir, std::move(workers));
  return control.run();
}

}  // namespace
}  // namespace pocket::runner

int main(int argc, char** argv) {
  using namespace pocket::runner;
  CLI::App app("pocket-runner: runs models for pocketd, which starts it");
  std::string engine;
  std::string engine_dir;
  std::string log_level = "info";
  std::string log_format = "text";
  int control_fd = -1;
  app.add_option("--engine", engine, "Name of the engine plugin")->required();
  app.add_option("--engine-dir", engine_dir, "Folder of the engine plugins")->required();
  app.add_option("--control-fd", control_fd, "Socket to pocketd")->required();
  app.add_option("--log-level", log_level, "debug, info, warning or error");
  app.add_option("--log-format", log_format, "text or json");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  (void)pocket::log::set_up({.program = "pocket-runner",
                             .level = log_level,
                             .json = log_format == "json",
                             .with_process = true});
  give_up_privileges();
  ::signal(SIGPIPE, SIG_IGN);
  auto served = serve(engine, engine_dir, control_fd);
  if (served.ok()) return 0;
  spdlog::error("{}", served.error().message);
  return 1;
}
