#include "daemon/config_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pocket::daemon {
namespace {

/// Compares one key after another.
class Comparison {
 public:
  template <typename Value>
  void take_over(const char* key, Value& live, const Value& wanted) {
    if (live == wanted) return;
    changes.changed.push_back(fmt::format("{}: {}, was {}", key, wanted, live));
    live = wanted;
  }
  template <typename Value>
  void leave(const char* key, const Value& live, const Value& wanted) {
    if (!(live == wanted)) changes.needs_restart.emplace_back(key);
  }
  ConfigChanges changes;
};

void compare_tenants(const AccessConfig& live, const AccessConfig& wanted,
                     std::vector<std::string>& changed) {
  const auto find = [](const AccessConfig& access, const std::string& name) {
    const auto found = std::ranges::find_if(
        access.tenants, [&](const TenantConfig& tenant) { return tenant.name == name; });
    return found == access.tenants.end() ? nullptr : &*found;
  };
  for (const TenantConfig& tenant : wanted.tenants) {
    const TenantConfig* before = find(live, tenant.name);
    if (before == nullptr) changed.push_back(fmt::format("tenant.{}: new", tenant.name));
    if (before != nullptr && !(*before == tenant)) {
      changed.push_back(fmt::format("tenant.{}: changed", tenant.name));
    }
  }
  for (const TenantConfig& tenant : live.tenants) {
    if (find(wanted, tenant.name) == nullptr) {
      changed.push_back(fmt::format("tenant.{}: gone", tenant.name));
    }
  }
  const auto names = [](const AccessConfig& access) {
    std::vector<std::string> all;
    for (const TenantConfig& tenant : access.tenants) all.push_back(tenant.name);
    return all;
  };
  auto before = names(live), now = names(wanted);
  const bool same_order = before == now;
  std::ranges::sort(before);
  std::ranges::sort(now);
  if (!same_order && before == now) changed.emplace_back("tenants: in another order");
}

void compare_sockets(const AccessConfig& live, const AccessConfig& wanted,
                     std::vector<std::string>& changed) {
  const auto find = [](const AccessConfig& access, const std::string& path) {
    const auto found = std::ranges::find_if(
        access.sockets, [&](const SocketConfig& socket) { return socket.path == path; });
    return found == access.sockets.end() ? nullptr : &*found;
  };
  for (const SocketConfig& socket : wanted.sockets) {
    const SocketConfig* before = find(live, socket.path);
    if (before == nullptr) changed.push_back(fmt::format("socket {}: new", socket.path));
    if (before != nullptr && !(*before == socket)) {
      changed.push_back(fmt::format("socket {}: changed", socket.path));
    }
  }
  for (const SocketConfig& socket : live.sockets) {
    if (find(wanted, socket.path) == nullptr) {
      changed.push_back(fmt::format("socket {}: gone", socket.path));
    }
  }
}

}  // namespace

ConfigChanges apply_changes(Config& live, const Config& wanted) {
  Comparison keys;
  keys.leave("service.socket", live.socket, wanted.socket);
  keys.leave("service.socket_mode", live.socket_mode, wanted.socket_mode);
  keys.leave("service.models", live.models, wanted.models);
  keys.leave("service.engine_dir", live.engine_dir, wanted.engine_dir);
  keys.leave("service.runner", live.runner, wanted.runner);
  keys.leave("sandbox", live.sandbox, wanted.sandbox);
  keys.leave("sandbox.show", live.sandbox_show, wanted.sandbox_show);
  keys.take_over("service.drain_seconds", live.drain_seconds, wanted.drain_seconds);
  keys.take_over("limits.sessions", live.sessions, wanted.sessions);
  keys.take_over("limits.channels_per_session", live.channels_per_session,
                 wanted.channels_per_session);
  keys.take_over("limits.region_bytes", live.region_bytes, wanted.region_bytes);
  keys.take_over("limits.session_bytes", live.session_bytes, wanted.session_bytes);
  keys.take_over("limits.runners", live.runners, wanted.runners);
  keys.take_over("limits.patience_seconds", live.patience_seconds, wanted.patience_seconds);
  keys.leave("engines.default", live.default_engine, wanted.default_engine);
  keys.leave("engines.threads", live.threads, wanted.threads);
  keys.leave("engines.concurrency", live.concurrency, wanted.concurrency);
  keys.leave("engines.cache_dir", live.cache_dir, wanted.cache_dir);
  keys.take_over("engines.scratch_dir", live.scratch_dir, wanted.scratch_dir);
  keys.take_over("engines.scratch_from", live.scratch_from, wanted.scratch_from);
  keys.leave("budget.cpus", live.cpus, wanted.cpus);
  keys.leave("budget.memory", live.memory, wanted.memory);
  keys.leave("budget.cgroup", live.cgroup, wanted.cgroup);
  keys.leave("budget.cpu_policy", live.cpu_policy, wanted.cpu_policy);
  keys.leave("budget.mem_policy", live.mem_policy, wanted.mem_policy);
  keys.leave("budget.linger_seconds", live.linger_seconds, wanted.linger_seconds);
  keys.leave("budget.ledger", live.ledger, wanted.ledger);
  keys.take_over("models.keep_alive_seconds", live.keep_alive_seconds, wanted.keep_alive_seconds);
  keys.take_over("models.load_timeout_seconds", live.load_timeout_seconds,
                 wanted.load_timeout_seconds);
  keys.take_over("log.level", live.log.level, wanted.log.level);
  keys.take_over("log.format", live.log.format, wanted.log.format);
  keys.take_over("log.file", live.log.file, wanted.log.file);
  keys.take_over("log.audit", live.log.audit, wanted.log.audit);
  keys.take_over("log.per_second", live.log.per_second, wanted.log.per_second);
  live.log = wanted.log;
  keys.take_over("fairness.weights", live.lent_weights, wanted.lent_weights);
  keys.leave("models.preload", live.preload, wanted.preload);
  keys.take_over("access.strict", live.access.strict, wanted.access.strict);
  keys.take_over("access.public", live.access.public_models, wanted.access.public_models);
  keys.take_over("access.administrators", live.access.administrators, wanted.access.administrators);
  compare_tenants(live.access, wanted.access, keys.changes.changed);
  compare_sockets(live.access, wanted.access, keys.changes.changed);
  live.access = wanted.access;
  return std::move(keys.changes);
}

}  // namespace pocket::daemon
