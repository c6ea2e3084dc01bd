// Runs in containers, through the command line of Docker or Podman: always by an argument vector,
// never by a shell.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/run/options.h"

namespace pocket::cli {

/// "docker" or "podman": the wanted one, or with "auto" the first that answers. An error holds what
/// they said.
Result<std::string> choose_engine(const std::string& wanted);

/// `docker run ...` for these options as the container `name`. INVALID_ARGUMENT: --share-socket
/// names no socket.
Result<std::vector<std::string>> container_command(const std::string& engine,
                                                   const RunOptions& options,
                                                   const std::string& name);

/// Starts it in the background; its id.
Result<std::string> start_detached(const std::vector<std::string>& command);

struct ContainerState {
  bool running = false;
  pid_t pid = 0;  // 0: none
  int exit_status = 0;
};
/// NOT_FOUND: the engine knows no such container. UNAVAILABLE: it did not answer.
Result<ContainerState> inspect_container(const std::string& engine, const std::string& container);

/// Returns its exit status once it has ended.
Result<int> wait_for_container(const std::string& engine, const std::string& container);

/// Ends and removes it; no error where there is none.
Result<void> remove_container(const std::string& engine, const std::string& container);

}  // namespace pocket::cli
