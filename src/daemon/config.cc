#include "daemon/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/ledger_place.h"
#include "daemon/config_access.h"
#include "daemon/config_sandbox.h"
#include "daemon/processors.h"
#include "lease/policy.h"
#include "model/toml_reader.h"

namespace pocket::daemon {
namespace {

using model::TomlReader;

constexpr std::array<std::string_view, 11> kTables = {"service", "limits", "engines", "models",
                                                      "budget",  "access", "socket",  "tenant",
                                                      "sandbox", "log",    "fairness"};
constexpr std::array<std::string_view, 5> kLog = {"level", "format", "file", "audit", "per_second"};
constexpr std::array<std::string_view, 1> kFairness = {"weights"};
constexpr std::array<std::string_view, 7> kBudget = {
    "cpus", "memory", "cgroup", "cpu_policy", "mem_policy", "linger_seconds", "ledger"};
constexpr std::array<std::string_view, 6> kService = {"socket",     "socket_mode", "models",
                                                      "engine_dir", "runner",      "drain_seconds"};
constexpr std::array<std::string_view, 6> kLimits = {"sessions",         "channels_per_session",
                                                     "region_bytes",     "session_bytes",
                                                     "patience_seconds", "runners"};
constexpr std::array<std::string_view, 4> kLogLevels = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 6> kEngines = {"default",   "threads",     "concurrency",
                                                      "cache_dir", "scratch_dir", "scratch_from"};
constexpr std::array<std::string_view, 3> kModels = {"keep_alive_seconds", "load_timeout_seconds",
                                                     "preload"};

Result<void> read_service(const toml::table& table, const std::string& path, Config& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kService);
  reader.read<std::string>("socket", "a path", config.socket);
  reader.read_count("socket_mode", 0, 0777, config.socket_mode);
  reader.read<std::string>("models", "a path", config.models);
  reader.read<std::string>("engine_dir", "a path", config.engine_dir);
  reader.read<std::string>("runner", "a path", config.runner);
  reader.read_seconds("drain_seconds", config.drain_seconds);
  return reader.result();
}

Result<void> read_log(const toml::table& table, const std::string& path, LogConfig& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kLog);
  reader.read<std::string>("level", "debug, info, warning or error", config.level);
  if (std::find(kLogLevels.begin(), kLogLevels.end(), config.level) == kLogLevels.end()) {
    reader.fail(*table.get("level"), "'level' must be debug, info, warning or error");
  }
  reader.read<std::string>("format", "text or json", config.format);
  if (config.format != "text" && config.format != "json") {
    reader.fail(*table.get("format"), "'format' must be text or json");
  }
  reader.read<std::string>("file", "a path", config.file);
  reader.read<std::string>("audit", "a path", config.audit);
  reader.read_number("per_second", "lines", config.per_second);
  return reader.result();
}

Result<void> read_fairness(const toml::table& table, const std::string& path, Config& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kFairness);
  std::string weights = config.lent_weights ? "lent" : "configured";
  reader.read<std::string>("weights", "configured or lent", weights);
  if (weights != "configured" && weights != "lent") {
    reader.fail(*table.get("weights"), "'weights' must be configured or lent");
  }
  config.lent_weights = weights == "lent";
  return reader.result();
}

Result<void> read_limits(const toml::table& table, const std::string& path, Config& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kLimits);
  reader.read_count("sessions", 1, 1'000'000, config.sessions);
  reader.read_count("channels_per_session", 1, 100'000, config.channels_per_session);
  reader.read_count("region_bytes", 65536, int64_t{1} << 40, config.region_bytes);
  reader.read_count("session_bytes", 65536, int64_t{1} << 44, config.session_bytes);
  reader.read_count("runners", 1, 4096, config.runners);
  reader.read_seconds("patience_seconds", config.patience_seconds);
  return reader.result();
}

Result<void> read_engines(const toml::table& table, const std::string& path, Config& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kEngines);
  reader.read<std::string>("default", "the name of an engine", config.default_engine);
  reader.read_count("threads", 0, 1024, config.threads);
  reader.read_count("concurrency", 0, 1024, config.concurrency);
  reader.read<std::string>("cache_dir", "a path", config.cache_dir);
  reader.read<std::string>("scratch_dir", "a path", config.scratch_dir);
  reader.read_count("scratch_from", 0, int64_t{1} << 50, config.scratch_from);
  return reader.result();
}

Result<void> read_policy(TomlReader& reader, const toml::table& table, const char* key,
                         std::string& text) {
  reader.read<std::string>(key, "a lending policy", text);
  if (auto policy = lease::parse_policy(text); !policy.ok()) {
    if (const toml::node* node = table.get(key)) {
      reader.fail(*node, fmt::format("'{}': {}", key, policy.error().message));
    }
  }
  return reader.result();
}

Result<void> read_budget(const toml::table& table, const std::string& path, Config& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kBudget);
  reader.read_number("cpus", "processors", config.cpus);
  reader.read_count("memory", 0, int64_t{1} << 50, config.memory);
  reader.read<std::string>("cgroup", "the name of a group", config.cgroup);
  reader.read_seconds("linger_seconds", config.linger_seconds);
  reader.read<std::string>("ledger", "a path", config.ledger);
  POCKET_RETURN_IF_ERROR(read_policy(reader, table, "cpu_policy", config.cpu_policy));
  return read_policy(reader, table, "mem_policy", config.mem_policy);
}

Result<void> read_models(const toml::table& table, const std::string& path, Config& config) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kModels);
  reader.read_seconds("keep_alive_seconds", config.keep_alive_seconds);
  reader.read_seconds("load_timeout_seconds", config.load_timeout_seconds);
  if (const toml::node* node = table.get("preload")) {
    const toml::array* names = node->as_array();
    config.preload.clear();
    for (size_t index = 0; names != nullptr && index < names->size(); ++index) {
      const auto name = (*names)[index].value_exact<std::string>();
      if (!name) names = nullptr;
      if (name) config.preload.push_back(*name);
    }
    if (names == nullptr) reader.fail(*node, "'preload' must be a list of model names");
  }
  return reader.result();
}

/// Once it is known where the service's own socket is.
Result<void> check_sockets(const Config& config) {
  const auto known = [&](const std::string& path) {
    return path == config.socket ||
           std::ranges::any_of(config.access.sockets,
                               [&](const SocketConfig& socket) { return socket.path == path; });
  };
  for (const SocketConfig& socket : config.access.sockets) {
    if (socket.path != config.socket) continue;
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("[[socket]] '{}' is the service's own socket: give it another path",
                             socket.path)};
  }
  for (const TenantConfig& tenant : config.access.tenants) {
    for (const std::string& path : tenant.sockets) {
      if (known(path)) continue;
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("[tenant.{}]: 'socket' names '{}', which is neither the service's "
                               "own socket '{}' nor a [[socket]]",
                               tenant.name, path, config.socket)};
    }
  }
  return ok_result();
}

std::string default_socket() {
  if (const char* path = std::getenv("POCKET_SOCKET"); path != nullptr && *path != '\0')
    return path;
  if (const char* folder = std::getenv("XDG_RUNTIME_DIR"); folder != nullptr && *folder != '\0') {
    return std::string(folder) + "/pocket/pocket.sock";
  }
  return "/run/pocket/pocket.sock";
}

}  // namespace

Result<void> parse_config(const std::string& text, const std::string& path, Config& config) {
  toml::table file;
  try {
    file = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{} line {}: {}", path, error.source().begin.line, error.description())};
  }
  TomlReader reader(file, path);
  reader.refuse_unknown_keys(kTables);
  static const toml::table kEmpty;
  const auto table = [&](const char* name) -> const toml::table& {
    const toml::node* node = file.get(name);
    if (node != nullptr && !node->is_table())
      reader.fail(*node, fmt::format("'{}' must be a table", name));
    return node != nullptr && node->is_table() ? *node->as_table() : kEmpty;
  };
  const toml::table& service = table("service");
  const toml::table& limits = table("limits");
  const toml::table& engines = table("engines");
  const toml::table& models = table("models");
  const toml::table& budget = table("budget");
  const toml::table& log = table("log");
  const toml::table& fairness = table("fairness");
  const toml::table& protections = table("sandbox");
  POCKET_RETURN_IF_ERROR(reader.result());
  POCKET_RETURN_IF_ERROR(read_service(service, path, config));
  POCKET_RETURN_IF_ERROR(read_limits(limits, path, config));
  POCKET_RETURN_IF_ERROR(read_engines(engines, path, config));
  POCKET_RETURN_IF_ERROR(read_budget(budget, path, config));
  POCKET_RETURN_IF_ERROR(read_sandbox(protections, path, config));
  POCKET_RETURN_IF_ERROR(read_models(models, path, config));
  POCKET_RETURN_IF_ERROR(read_log(log, path, config.log));
  POCKET_RETURN_IF_ERROR(read_fairness(fairness, path, config));
  return read_access(file, path, config.access);
}

Result<void> read_config_file(const std::string& path, Config& config) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return errno_error(fmt::format("reading configuration '{}'", path), EISDIR);
  }
  std::ifstream file(path);
  if (!file) return errno_error(fmt::format("reading configuration '{}'", path), errno);
  return parse_config({std::istreambuf_iterator<char>(file), {}}, path, config);
}

log::Settings log_settings(const LogConfig& config) {
  constexpr uint64_t kRotateBytes = 4u << 20;  // in the background the log stays small by itself
  return {.program = "pocketd",
          .level = config.level,
          .json = config.format == "json",
          .file = config.file,
          .rotate_bytes = config.rotate ? kRotateBytes : 0};
}

Result<void> complete_config(Config& config) {
  std::error_code error;
  const auto executable = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return errno_error("reading /proc/self/exe", error.value());
  const auto bin = executable.parent_path();
  if (config.socket.empty()) config.socket = default_socket();
  if (config.runner.empty()) config.runner = (bin / "pocket-runner").string();
  if (config.ledger.empty()) config.ledger = default_ledger(config.socket);
  if (config.engine_dir.empty())
    config.engine_dir = (bin.parent_path() / "lib" / "pocket").string();
  config.models = std::filesystem::absolute(config.models).lexically_normal().string();
  if (config.threads == 0) config.threads = usable_processors();
  if (config.concurrency == 0) config.concurrency = config.threads;
  return check_sockets(config);
}

}  // namespace pocket::daemon
