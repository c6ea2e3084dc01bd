#include "daemon/config_access.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string_view>

#include "model/toml_reader.h"

namespace pocket::daemon {
namespace {

using model::TomlReader;

constexpr std::array<std::string_view, 3> kAccess = {"strict", "public", "administrators"};
constexpr std::array<std::string_view, 5> kSocket = {"path", "mode", "group", "tenant",
                                                     "administrators"};
constexpr std::array<std::string_view, 14> kTenant = {
    "uid",      "cgroup",   "container",    "label",     "socket",           "models",
    "sessions", "channels", "shared_bytes", "in_flight", "calls_per_second", "cpu_share",
    "weight",   "priority"};
constexpr std::array<std::string_view, 5> kMatches = {"uid", "cgroup", "container", "label",
                                                      "socket"};
constexpr size_t kMostNameLength = 64;

bool is_tenant_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostNameLength &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

/// One value or a list of them; `take` says what is wrong with one, or "" when it took it.
void read_each(TomlReader& reader, const toml::table& table, const char* key,
               const std::function<std::string(const toml::node&)>& take) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return;
  const auto one = [&](const toml::node& value) {
    if (const std::string wrong = take(value); !wrong.empty()) {
      reader.fail(value, fmt::format("'{}' {}", key, wrong));
    }
  };
  if (const toml::array* values = node->as_array()) {
    for (const auto& value : *values) one(value);
  } else {
    one(*node);
  }
}

void read_texts(TomlReader& reader, const toml::table& table, const char* key, const char* wanted,
                std::vector<std::string>& texts) {
  read_each(reader, table, key, [&](const toml::node& value) -> std::string {
    const auto text = value.value_exact<std::string>();
    if (!text || text->empty()) return fmt::format("must be {}, or a list of them", wanted);
    texts.push_back(*text);
    return "";
  });
}

void read_paths(TomlReader& reader, const toml::table& table, const char* key,
                std::vector<std::string>& paths) {
  read_texts(reader, table, key, "a path", paths);
  const auto relative =
      std::ranges::find_if(paths, [](const std::string& path) { return !path.starts_with('/'); });
  if (relative != paths.end()) {
    reader.fail(*table.get(key), fmt::format("'{}': '{}' must begin with '/'", key, *relative));
  }
}

void read_users(TomlReader& reader, const toml::table& table, const char* key,
                std::vector<uid_t>& users) {
  read_each(reader, table, key, [&](const toml::node& value) -> std::string {
    if (const auto number = value.value_exact<int64_t>()) {
      if (*number < 0 || *number >= UINT32_MAX) return "must be numbers or names of users";
      users.push_back(static_cast<uid_t>(*number));
      return "";
    }
    const auto name = value.value_exact<std::string>();
    if (!name) return "must be numbers or names of users";
    const passwd* user = ::getpwnam(name->c_str());
    if (user == nullptr)
      return fmt::format("names the user '{}', whom this machine has not", *name);
    users.push_back(user->pw_uid);
    return "";
  });
}

void read_group(TomlReader& reader, const toml::table& table, std::optional<gid_t>& group) {
  const toml::node* node = table.get("group");
  if (node == nullptr) return;
  if (const auto number = node->value_exact<int64_t>(); number && *number >= 0) {
    group = static_cast<gid_t>(*number);
    return;
  }
  const auto name = node->value_exact<std::string>();
  const struct group* found = name ? ::getgrnam(name->c_str()) : nullptr;
  if (found == nullptr) {
    reader.fail(*node, name ? fmt::format("'group': this machine has no group '{}'", *name)
                            : "'group' must be the number or name of a group");
    return;
  }
  group = found->gr_gid;
}

Result<void> read_socket(const toml::table& table, const std::string& path, AccessConfig& access) {
  TomlReader reader(table, path);
  SocketConfig socket;
  reader.refuse_unknown_keys(kSocket);
  reader.read<std::string>("path", "a path", socket.path);
  reader.read_count("mode", 0, 0777, socket.mode);
  read_group(reader, table, socket.group);
  reader.read<std::string>("tenant", "the name of a tenant", socket.tenant);
  reader.read<bool>("administrators", "true or false", socket.administrators);
  if (!socket.path.starts_with('/')) {
    reader.fail(table, "a [[socket]] needs 'path', which begins with '/'");
  }
  const auto same = [&](const SocketConfig& other) { return other.path == socket.path; };
  if (std::ranges::any_of(access.sockets, same)) {
    reader.fail(table, fmt::format("the socket '{}' is there twice", socket.path));
  }
  if (socket.administrators && !socket.tenant.empty()) {
    reader.fail(table, "a [[socket]] is a tenant's or for administrators, not both");
  }
  access.sockets.push_back(std::move(socket));
  return reader.result();
}

void read_limits(TomlReader& reader, TenantLimits& limits) {
  reader.read_count("sessions", 1, 1'000'000, limits.sessions);
  reader.read_count("channels", 1, 1'000'000, limits.channels);
  reader.read_count("shared_bytes", 65536, int64_t{1} << 44, limits.shared_bytes);
  reader.read_count("in_flight", 1, 1'000'000, limits.in_flight);
  reader.read_number("calls_per_second", "calls", limits.calls_per_second);
  reader.read_number("cpu_share", "processors", limits.cpu_share);
  reader.read_count("weight", 1, 10'000, limits.weight);
  reader.read_count("priority", 0, 1'000, limits.priority);
}

Result<void> read_tenant(const std::string& name, const toml::table& table, const std::string& path,
                         AccessConfig& access) {
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kTenant);
  if (!is_tenant_name(name)) {
    reader.fail(table, fmt::format("'{}' is no name of a tenant (letters, digits, '_' and '-', at "
                                   "most {})",
                                   name, kMostNameLength));
  }
  if (const toml::node* label = table.get("label")) {
    reader.fail(
        *label,
        "'label': only the container engine knows its labels, and whoever may ask it may do "
        "anything; tell a container by 'cgroup' (docker run --cgroup-parent), 'container' "
        "or a [[socket]] of its own (docs/tenants.md)");
  }
  TenantConfig tenant;
  tenant.name = name;
  read_users(reader, table, "uid", tenant.uids);
  read_paths(reader, table, "cgroup", tenant.cgroups);
  read_texts(reader, table, "container", "the id or name of a container", tenant.containers);
  read_paths(reader, table, "socket", tenant.sockets);
  read_texts(reader, table, "models", "the name of a model", tenant.models);
  read_limits(reader, tenant.limits);
  const bool matches =
      std::ranges::any_of(kMatches, [&](std::string_view key) { return table.contains(key); });
  const bool bound = std::ranges::any_of(
      access.sockets, [&](const SocketConfig& socket) { return socket.tenant == name; });
  if (name == kDefaultTenant && (matches || bound)) {
    reader.fail(table,
                "[tenant.default] is for clients that fit no other tenant: it has no 'uid', "
                "'cgroup', 'container' or 'socket'");
  }
  if (name != kDefaultTenant && !matches && !bound) {
    reader.fail(table, fmt::format("nobody can be of tenant '{}': give it 'uid', 'cgroup', "
                                   "'container' or 'socket', or a [[socket]] of its own",
                                   name));
  }
  const auto same = [&](const TenantConfig& other) {
    return tenant_id(other.name) == tenant_id(name);
  };
  if (const auto other = std::ranges::find_if(access.tenants, same);
      other != access.tenants.end()) {
    reader.fail(table, fmt::format("the names of the tenants '{}' and '{}' give the same number: "
                                   "rename one",
                                   other->name, name));
  }
  access.tenants.push_back(std::move(tenant));
  return reader.result();
}

Result<void> read_tenants(const toml::table& file, const std::string& path, AccessConfig& access) {
  const toml::node* node = file.get("tenant");
  if (node == nullptr) return ok_result();
  TomlReader reader(file, path);
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    reader.fail(*node, "'tenant' must be written [tenant.NAME]");
    return reader.result();
  }
  // By place: a table of TOML has no order of its own, and the first tenant that fits counts.
  std::map<std::pair<uint32_t, uint32_t>, std::pair<std::string, const toml::table*>> tenants;
  for (const auto& [name, value] : *table) {
    if (!value.is_table()) {
      reader.fail(value, fmt::format("'{}': a tenant is written [tenant.NAME]", name.str()));
      continue;
    }
    const auto& begin = value.source().begin;
    tenants[{begin.line, begin.column}] = {std::string(name.str()), value.as_table()};
  }
  POCKET_RETURN_IF_ERROR(reader.result());
  for (const auto& [place, tenant] : tenants) {
    POCKET_RETURN_IF_ERROR(read_tenant(tenant.first, *tenant.second, path, access));
  }
  return ok_result();
}

}  // namespace

uint32_t tenant_id(const std::string& name) {
  if (name == kDefaultTenant) return 0;
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash == 0 ? 1 : hash;
}

Result<void> read_access(const toml::table& file, const std::string& path, AccessConfig& access) {
  access = {};
  TomlReader reader(file, path);
  if (const toml::node* node = file.get("access")) {
    const toml::table* table = node->as_table();
    if (table == nullptr) {
      reader.fail(*node, "'access' must be a table");
      return reader.result();
    }
    TomlReader keys(*table, path);
    keys.refuse_unknown_keys(kAccess);
    keys.read<bool>("strict", "true or false", access.strict);
    keys.read<bool>("public", "true or false", access.public_models);
    read_users(keys, *table, "administrators", access.administrators);
    POCKET_RETURN_IF_ERROR(keys.result());
  }
  if (const toml::node* node = file.get("socket")) {
    const toml::array* sockets = node->as_array();
    if (sockets == nullptr || !sockets->is_homogeneous(toml::node_type::table)) {
      reader.fail(*node, "'socket' must be written [[socket]], once for each");
      return reader.result();
    }
    for (const auto& socket : *sockets) {
      POCKET_RETURN_IF_ERROR(read_socket(*socket.as_table(), path, access));
    }
  }
  POCKET_RETURN_IF_ERROR(read_tenants(file, path, access));
  for (const SocketConfig& socket : access.sockets) {
    const auto named = [&](const TenantConfig& tenant) { return tenant.name == socket.tenant; };
    if (!socket.tenant.empty() && std::ranges::none_of(access.tenants, named)) {
      reader.fail(*file.get("socket"),
                  fmt::format("the socket '{}' is of tenant '{}', and there is "
                              "no [tenant.{}]",
                              socket.path, socket.tenant, socket.tenant));
    }
  }
  return reader.result();
}

}  // namespace pocket::daemon
