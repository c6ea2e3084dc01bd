#include "cli/run/options.h"

#include "cli/run/amounts.h"
#include "lease/policy.h"

namespace pocket::cli {
namespace {

/// A validator of the parser from a function that returns a Result.
template <typename Check>
CLI::Validator valid(Check check) {
  return CLI::Validator(
      [check](const std::string& text) {
        const auto checked = check(text);
        return checked.ok() ? std::string() : checked.error().message;
      },
      "");
}

template <typename T>
void add_amount(CLI::App& run, const char* flags, T& target, Result<T> (*parse)(const std::string&),
                const char* type, const char* text) {
  run.add_option_function<std::string>(
         flags, [&target, parse](const std::string& value) { target = *parse(value); }, text)
      ->check(valid(parse))
      ->type_name(type);
}

void add_container_options(CLI::App& run, RunOptions& options) {
  run.add_option("-b,--image", options.image, "Run in a container of this image")
      ->type_name("IMAGE")
      ->check(valid([](const std::string& text) -> Result<void> {
        // The engine would take it for an option of its own.
        if (!text.empty() && text[0] != '-') return {};
        return Error{POCKET_INVALID_ARGUMENT, "image '" + text + "' is not the name of an image"};
      }));
  run.add_option("--engine", options.engine, "docker, podman or auto: whichever answers")
      ->check(CLI::IsMember({"auto", "docker", "podman"}));
  run.add_option("-s,--share-socket", options.share_socket,
                 "Container: give it the socket of this service, or 'default' for the usual one")
      ->type_name("SOCKET");
  run.add_option("-n,--network", options.network, "Container: its network (default: none)")
      ->type_name("NETWORK");
  run.add_option("-v,--volume", options.volumes, "Container: HOST:INSIDE[:ro], repeatable")
      ->type_name("VOLUME")
      ->allow_extra_args(false)
      ->check(valid([](const std::string& text) -> Result<void> {
        const size_t colon = text.find(':');
        if (colon != std::string::npos && colon != 0 && colon + 1 < text.size()) return {};
        return Error{POCKET_INVALID_ARGUMENT, "volume '" + text + "' is not HOST:INSIDE[:ro]"};
      }));
}

}  // namespace

void add_run_options(CLI::App& run, RunOptions& options) {
  run.add_option("-t,--name", options.name, "Its name (default: the program's, and a number)")
      ->type_name("NAME")
      ->check(valid(check_run_name));
  run.add_option("--count", options.count, "Start several at once: NAME-1, NAME-2, ...")
      ->check(CLI::Range(1, 10000));
  run.add_flag("-d,--detach", options.detach, "In the background; see pocket ps and pocket wait");
  add_amount(run, "-m,--memory", options.limits.memory_bytes, parse_memory, "SIZE",
             "Limit of memory: 128m, 1.5g");
  add_amount(run, "-c,--cpus", options.limits.cpus, parse_cpus, "X",
             "Limit of processor time: 0.5 is half a processor");
  run.add_option("-i,--index", options.limits.cpu_list, "Run on these processors only: 0-1,3")
      ->type_name("LIST")
      ->check(valid(parse_cpu_list));
  run.add_flag("--oom-kill-disable", options.limits.oom_kill_disable,
               "At the memory limit wait instead of being killed (cgroup v1)");
  const auto policy = valid([](const std::string& text) { return lease::parse_policy(text); });
  run.add_option("--cpu-policy", options.cpu_policy,
                 "What of its CPU limit it lends to the service")
      ->type_name("POLICY")
      ->check(policy);
  run.add_option("--mem-policy", options.mem_policy, "What of its memory limit it lends")
      ->type_name("POLICY")
      ->check(policy);
  run.add_option("--socket", options.socket, "Socket of the service, set as POCKET_SOCKET")
      ->type_name("PATH");
  run.add_option("-e,--env", options.environment, "Set a variable, KEY=VALUE, repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->check(valid(check_environment));
  run.add_option("-w,--workdir", options.workdir, "Folder to run in")->type_name("DIR");
  run.add_option("--log", options.log, "Detached: append its output to a file")->type_name("FILE");
  run.add_option("--rusage", options.rusage,
                 "Report what it used at the end; as JSON where a file is named")
      ->type_name("FILE")
      ->expected(0, 1)
      ->default_str("text");
  run.add_flag("--measure-latency", options.measure_latency,
               "Report the milliseconds until it runs and until it has ended");
  run.add_flag("--perf", options.perf, "Report the kernel's counters of faults, switches, ...");
  run.add_flag("--verbose", options.verbose, "Say how it is run");
  add_container_options(run, options);
  run.add_option("command", options.command, "The program and its arguments, after --")
      ->required()
      ->type_name("COMMAND ...");
  run.positionals_at_end();
}

Result<void> check_together(const RunOptions& options) {
  const auto refuse = [](const char* why) { return Error{POCKET_INVALID_ARGUMENT, why}; };
  if (!options.log.empty() && !options.detach) {
    return refuse("--log goes with --detach; otherwise redirect the output");
  }
  if (options.limits.oom_kill_disable && options.limits.memory_bytes == 0) {
    return refuse(
        "--oom-kill-disable goes with --memory: without a limit the whole machine stalls");
  }
  if (options.image.empty()) {
    if (!options.share_socket.empty() || !options.volumes.empty() || options.network != "none") {
      return refuse("--share-socket, --network and --volume go with --image");
    }
    return ok_result();
  }
  if (options.perf) {
    return refuse(
        "--perf does not go with --image: the container's processes are started by the "
        "engine, and the kernel's counters only follow what this program starts");
  }
  if (options.detach && (!options.rusage.empty() || options.measure_latency)) {
    return refuse(
        "--rusage and --measure-latency with --image do not go with --detach: nobody is "
        "there at its end; `pocket rusage NAME` reads them while it runs");
  }
  if (options.detach && !options.log.empty()) {
    return refuse("--log does not go with --image: the engine keeps the output (docker logs NAME)");
  }
  if (!options.share_socket.empty() && !options.socket.empty()) {
    return refuse("--share-socket sets the socket itself: leave --socket out");
  }
  return ok_result();
}

std::vector<std::string> client_environment(const RunOptions& options) {
  auto environment = options.environment;
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) environment.push_back(std::string(key) + "=" + value);
  };
  add("POCKET_CPU_POLICY", options.cpu_policy);
  add("POCKET_MEM_POLICY", options.mem_policy);
  add("POCKET_SOCKET", options.socket);
  return environment;
}

}  // namespace pocket::cli
