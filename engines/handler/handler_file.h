// model.handler: which library an entry of the repository is, and its host's options.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "pocket/engine.h"

namespace pocket::handler_engine {

struct HandlerFile {
  std::string library;  // path
  std::string folder;   // of the entry's version
};

/// Reads model.handler. `plugin_folder`: where the handlers lie that come with Pocket.
Result<HandlerFile> read_handler_file(const std::string& path, const std::string& plugin_folder);

/// What the host does with a handler; the keys of [options] in docs/handlers.md.
struct HostOptions {
  uint64_t grace_ns = 1'000'000'000;        // beyond its deadline, or after a cancel
  uint64_t call_limit_ns = 30'000'000'000;  // of a call without a deadline
  uint64_t memory_bytes = 0;                // of the runner; 0: no limit
  std::vector<std::pair<std::string, std::string>> others;  // for the handler
};

/// INVALID_ARGUMENT names the key.
Result<HostOptions> read_options(const pocket_engine_load_options& options);

}  // namespace pocket::handler_engine
