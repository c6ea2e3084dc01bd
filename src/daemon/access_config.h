// Who may use the service, and how much: [access], [[socket]] and [tenant.NAME] of the
// configuration. docs/tenants.md explains them, docs/configuration.md lists the keys.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pocket::daemon {

/// What a tenant may have at a time; 0: no limit.
struct TenantLimits {
  uint32_t sessions = 0;
  uint32_t channels = 0;
  uint64_t shared_bytes = 0;
  // Enforced by each runner, which sees the calls.
  uint32_t in_flight = 0;
  double calls_per_second = 0;
  double cpu_share = 0;  // in processors
  uint32_t weight = 100;
  uint32_t priority = 0;
  bool operator==(const TenantLimits&) const = default;
};

/// Of clients that fit no tenant; also the name of the table with their limits.
constexpr const char* kDefaultTenant = "default";

struct TenantConfig {
  std::string name;
  // Of each list that is not empty, one entry must fit a client.
  std::vector<uid_t> uids;
  std::vector<std::string> cgroups;     // patterns
  std::vector<std::string> containers;  // patterns
  std::vector<std::string> sockets;     // paths
  std::vector<std::string> models;      // patterns of what it may use beside public models
  TenantLimits limits;
  bool operator==(const TenantConfig&) const = default;
};

/// A further socket to listen on.
struct SocketConfig {
  std::string path;
  mode_t mode = 0660;
  std::optional<gid_t> group;
  std::string tenant;           // whoever comes through it; empty: told by who comes
  bool administrators = false;  // whoever comes through it may administer
  bool operator==(const SocketConfig&) const = default;
};

struct AccessConfig {
  bool strict = false;                // who fits no tenant stays out; models only as listed
  bool public_models = true;          // models whose entry does not say
  std::vector<uid_t> administrators;  // beside root and the service's own user
  std::vector<SocketConfig> sockets;
  std::vector<TenantConfig> tenants;  // in the order of the file: the first that fits
  bool operator==(const AccessConfig&) const = default;
};

/// The number by which runners know a tenant: the same in every service that has one of this name.
/// 0 for kDefaultTenant only.
uint32_t tenant_id(const std::string& name);

}  // namespace pocket::daemon
