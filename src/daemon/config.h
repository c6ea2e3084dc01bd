// What pocketd can be told: defaults, the TOML file, then the command line. docs/configuration.md
// documents every key.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/access_config.h"
#include "log/log.h"
#include "sandbox/settings.h"

namespace pocket::daemon {

/// [log]: what is written where.
struct LogConfig {
  std::string level = "info";
  std::string format = "text";  // or json
  std::string file;             // empty: standard error
  bool rotate = false;          // by size: nobody chose the file
  std::string audit;            // file of refusals; empty: the log
  double per_second = 10;       // lines for each tenant and kind of refusal; 0: all
};

struct Config {
  // [service]
  std::string socket;  // empty: POCKET_SOCKET, the runtime folder, /run/pocket
  mode_t socket_mode = 0666;
  std::string models = "models";
  std::string engine_dir;  // empty: beside the executable
  std::string runner;      // empty: beside the executable
  double drain_seconds = 10;
  // [limits]
  uint32_t sessions = 4096;
  uint32_t channels_per_session = 64;
  uint64_t region_bytes = uint64_t{1} << 30;
  uint64_t session_bytes = uint64_t{4} << 30;
  uint32_t runners = 64;
  double patience_seconds = 10;
  // [engines]
  std::string default_engine = "openvino";
  uint32_t threads = 0;      // 0: the processors and the quota this service may use
  uint32_t concurrency = 0;  // 0: as many as threads
  std::string cache_dir;
  std::string scratch_dir = "/var/tmp";       // empty: models stay in memory
  uint64_t scratch_from = uint64_t{1} << 20;  // bytes of a model's files
  // [budget]
  double cpus = 0;                // of each runner, in processors; 0: no limit
  uint64_t memory = 0;            // of each runner, in bytes; 0: no limit
  std::string cgroup = "pocket";  // the runners' groups are made below it
  // Of clients that name none: docs/adr/0005-default-policy.md.
  std::string cpu_policy = "adaptive,ratio,0.9";
  std::string mem_policy = "adaptive,ratio,0.5";
  double linger_seconds = 0.005;  // `adaptive`: how long a client without calls keeps lending
  std::string ledger;             // empty: beside the socket
  // [models]
  double keep_alive_seconds = 300;
  double load_timeout_seconds = 120;
  std::vector<std::string> preload;
  // [fairness]
  bool lent_weights = false;  // clients weigh what they lend
  LogConfig log;
  // [access], [[socket]], [tenant.NAME]
  AccessConfig access;
  // [sandbox]
  sandbox::Settings sandbox;
  std::vector<std::string> sandbox_show;  // what engines may read beside models and libraries
};

/// Reads a file over the defaults in `config`. NOT_FOUND or INVALID_ARGUMENT with file, line, key.
Result<void> read_config_file(const std::string& path, Config& config);
Result<void> parse_config(const std::string& text, const std::string& path, Config& config);

/// The same as the log takes it.
log::Settings log_settings(const LogConfig& config);

/// Fills what is empty: socket, engine_dir, runner, threads, concurrency. INVALID_ARGUMENT when a
/// socket is there twice, or a tenant is told by one that is not there.
Result<void> complete_config(Config& config);

}  // namespace pocket::daemon
