// pocket-runner: the data plane of Pocket. Started by pocketd, never by hand.
#include <malloc.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "base/clock.h"
#include "base/engine_names.h"
#include "log/log.h"
#include "runner/control.h"
#include "runner/hurried_thread.h"
#include "runner/protect.h"
#include "sandbox/identity.h"

namespace pocket::runner {
namespace {

struct CommandLine {
  std::string engine;
  std::vector<std::string> others;
  std::string engine_dir;
  std::string log_level = "info";
  std::string log_format = "text";
  int control_fd = -1;
  bool probe = false;
  std::optional<int> usual_priority;
  ProtectOptions protect;
};

void define_options(CLI::App& app, CommandLine& line) {
  app.add_option("--engine", line.engine, "Name of the engine plugin");
  app.add_option("--also", line.others, "Engines of other models that it will load");
  app.add_option("--engine-dir", line.engine_dir, "Folder of the engine plugins");
  app.add_option("--control-fd", line.control_fd, "Socket to pocketd");
  app.add_option("--log-level", line.log_level, "debug, info, warning or error");
  app.add_option("--log-format", line.log_format, "text or json");
  app.add_option("--sandbox", line.protect.modes, "Protections that are required or off");
  app.add_option("--user", line.protect.user, "User to run as; empty: one of its own");
  app.add_option("--show", line.protect.shown, "File or folder that the engine may read");
  app.add_option("--show-writable", line.protect.writable, "Likewise, and write");
  app.add_option("--usual-priority", line.usual_priority,
                 "Of all threads but one, which keeps what the process was started with");
  app.add_flag("--probe", line.probe, "Say what the sandbox holds on this machine, and end");
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

/// What is made inside of the sandbox, before the list of system calls is final.
struct Inside {
  std::unique_ptr<HurriedThread> hurried;  // none: nobody hurries
  engine::Plugins others;
};

/// The plugin, loaded inside of the sandbox.
Result<engine::Plugin> load_protected(const CommandLine& line, int socket, Inside& inside) {
  POCKET_ASSIGN_OR_RETURN(Protection protection, Protection::parse(line.protect));
  std::vector<std::string> paths = {engine_path(line.engine_dir, line.engine)};
  for (const auto& other : line.others) paths.push_back(engine_path(line.engine_dir, other));
  POCKET_RETURN_IF_ERROR(protection.enter(paths));
  if (line.usual_priority) inside.hurried = HurriedThread::start(*line.usual_priority);
  POCKET_ASSIGN_OR_RETURN(engine::Plugin plugin,
                          engine::Plugin::load(line.engine_dir, line.engine));
  for (const auto& other : line.others) {
    inside.others.emplace(other, engine::Plugin::load(line.engine_dir, other));
  }
  POCKET_RETURN_IF_ERROR(protection.close(paths, socket));
  return plugin;
}

Result<void> serve(const CommandLine& line) {
  UniqueFd socket(line.control_fd);
  Inside inside;
  auto loaded = load_protected(line, socket.get(), inside);
  if (!loaded.ok()) {
    tell_first_request(socket.get(), loaded.error());
    return std::move(loaded).error();
  }
  // What the sandbox was made with goes back, so that it is not taken for a model's memory later.
  ::malloc_trim(0);
  engine::Plugin plugin = *loaded;
  POCKET_ASSIGN_OR_RETURN(auto workers, Workers::create(std::move(inside.hurried)));
  Control control(std::move(socket), plugin, std::move(inside.others), line.engine_dir,
                  std::move(workers));
  return control.run();
}

/// Tells how far the sandbox of a runner comes here; required or not makes no difference.
Result<void> probe(const CommandLine& line) {
  POCKET_ASSIGN_OR_RETURN(Protection protection, Protection::parse(line.protect));
  POCKET_RETURN_IF_ERROR(protection.enter({}));
  (void)protection.close({}, -1);
  std::fputs(protection.report().text().c_str(), stdout);
  return ok_result();
}

}  // namespace
}  // namespace pocket::runner

int main(int argc, char** argv) {
  using namespace pocket::runner;
  CLI::App app("pocket-runner: runs models for pocketd, which starts it");
  CommandLine line;
  define_options(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  // Its number as others see it: in a PID namespace it is 1.
  (void)pocket::log::set_up({.program = "pocket-runner",
                             .level = line.log_level,
                             .json = line.log_format == "json",
                             .process = pocket::sandbox::outer_pid()});
  // One heap for all threads: what threads have of their own malloc_trim cannot give back at its
  // end, which after the load of a large model is a hundred megabytes.
  ::mallopt(M_ARENA_MAX, 1);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // writing beyond the limit fails instead
  auto served = line.probe ? probe(line) : serve(line);
  if (served.ok()) return 0;
  spdlog::error("{}", served.error().message);
  return 1;
}
