#include "daemon/tenants.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace pocket::daemon {
namespace {

template <typename Value, typename Fits>
bool one_fits(const std::vector<Value>& values, Fits fits) {
  return values.empty() || std::ranges::any_of(values, fits);
}

bool fits(const TenantConfig& tenant, const ClientIdentity& client) {
  const bool asks = !tenant.uids.empty() || !tenant.cgroups.empty() || !tenant.containers.empty() ||
                    !tenant.sockets.empty();
  return asks && one_fits(tenant.uids, [&](uid_t uid) { return uid == client.uid; }) &&
         one_fits(tenant.sockets, [&](const std::string& path) { return path == client.socket; }) &&
         one_fits(tenant.cgroups,
                  [&](const std::string& pattern) { return group_fits(client.groups, pattern); }) &&
         one_fits(tenant.containers, [&](const std::string& pattern) {
           return container_fits(client.groups, pattern);
         });
}

bool lists(const Tenant& tenant, const std::string& model) {
  return std::ranges::any_of(tenant.models, [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), model.c_str(), 0) == 0;
  });
}

}  // namespace

TenantShare::TenantShare(TenantShare&& other) noexcept
    : tenant_(std::move(other.tenant_)),
      bounded_(other.bounded_),
      sessions_(std::exchange(other.sessions_, 0)),
      channels_(std::exchange(other.channels_, 0)),
      bytes_(std::exchange(other.bytes_, 0)) {}

TenantShare& TenantShare::operator=(TenantShare&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  tenant_ = std::move(other.tenant_);
  bounded_ = other.bounded_;
  sessions_ = std::exchange(other.sessions_, 0);
  channels_ = std::exchange(other.channels_, 0);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void TenantShare::give_back() {
  if (tenant_ == nullptr) return;
  tenant_->sessions -= sessions_;
  tenant_->channels -= channels_;
  tenant_->bytes -= bytes_;
  tenant_.reset();
}

Result<TenantShare> TenantShare::of_session(const Member& member) {
  TenantShare share(member);
  Tenant* const tenant = member.tenant.get();
  const uint32_t most = share.bounded_ ? tenant->limits.sessions : 0;
  if (most != 0 && tenant->sessions >= most) {
    tenant->refusals += 1;
    return Error{POCKET_BUSY, fmt::format("tenant '{}' has {} clients connected, its limit "
                                          "(tenant.{}.sessions): close one, or raise it",
                                          tenant->name, tenant->sessions, tenant->name)};
  }
  share.sessions_ = 1;
  tenant->sessions += 1;
  return share;
}

Result<TenantShare> TenantShare::of_channel(const Member& member) {
  TenantShare share(member);
  Tenant* const tenant = member.tenant.get();
  const uint32_t most = share.bounded_ ? tenant->limits.channels : 0;
  if (most != 0 && tenant->channels >= most) {
    tenant->refusals += 1;
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("the clients of tenant '{}' have {} models open, its limit "
                             "(tenant.{}.channels): close some, or raise it",
                             tenant->name, tenant->channels, tenant->name)};
  }
  share.channels_ = 1;
  tenant->channels += 1;
  return share;
}

Result<void> TenantShare::add_bytes(uint64_t bytes) {
  const uint64_t most = bounded_ ? tenant_->limits.shared_bytes : 0;
  if (most != 0 && bytes > most - std::min(tenant_->bytes, most)) {
    tenant_->refusals += 1;
    return Error{
        POCKET_RESOURCE_EXHAUSTED,
        fmt::format("{} bytes more of shared memory pass the limit of {} of tenant '{}' "
                    "(tenant.{}.shared_bytes); {} are in use: close something, or raise it",
                    bytes, most, tenant_->name, tenant_->name, tenant_->bytes)};
  }
  bytes_ += bytes;
  tenant_->bytes += bytes;
  return ok_result();
}

void TenantShare::remove_bytes(uint64_t bytes) {
  bytes_ -= bytes;
  tenant_->bytes -= bytes;
}

Tenants::Tenants(const AccessConfig& access) : access_(access) { configuration_changed(); }

void Tenants::configuration_changed() {
  std::map<std::string, std::shared_ptr<Tenant>> kept;
  const auto take = [&](const std::string& name) -> Tenant& {
    const auto found = tenants_.find(name);
    auto& tenant = kept[name];
    tenant = found == tenants_.end() ? std::make_shared<Tenant>() : found->second;
    tenant->id = tenant_id(name);
    tenant->name = name;
    return *tenant;
  };
  Tenant& others = take(kDefaultTenant);
  others.limits = {};
  others.models.clear();
  for (const TenantConfig& config : access_.tenants) {
    Tenant& tenant = take(config.name);
    tenant.limits = config.limits;
    tenant.models = config.models;
  }
  tenants_ = std::move(kept);
}

bool Tenants::is_administrator(const ClientIdentity& client, const SocketConfig* socket) const {
  if (socket != nullptr && socket->administrators) return true;
  // Root of a container has the number of root as well, and it is a stranger.
  if (!client.local || (socket != nullptr && !socket->tenant.empty())) return false;
  return client.uid == 0 || client.uid == ::geteuid() ||
         std::ranges::find(access_.administrators, client.uid) != access_.administrators.end();
}

Result<Member> Tenants::admit(const ClientIdentity& client) const {
  const auto through = std::ranges::find_if(
      access_.sockets, [&](const SocketConfig& socket) { return socket.path == client.socket; });
  const SocketConfig* socket = through == access_.sockets.end() ? nullptr : &*through;
  Member member{named(kDefaultTenant), is_administrator(client, socket)};
  if (socket != nullptr && !socket->tenant.empty()) {
    member.tenant = named(socket->tenant);
    return member;
  }
  const auto tenant = std::ranges::find_if(
      access_.tenants, [&](const TenantConfig& config) { return fits(config, client); });
  if (tenant != access_.tenants.end()) {
    member.tenant = named(tenant->name);
  } else if (access_.strict && !member.administrator) {
    member.tenant->refusals += 1;
    return Error{POCKET_PERMISSION_DENIED,
                 fmt::format("this service takes known tenants only (access.strict), and no "
                             "[tenant.NAME] of its configuration fits user {}, group '{}', socket "
                             "'{}'",
                             client.uid, client.group(), client.socket)};
  }
  return member;
}

bool Tenants::needs_entry(const Member& member, const std::string& model) const {
  return !member.administrator && !access_.strict && !lists(*member.tenant, model);
}

bool Tenants::may_use(const Member& member, const std::string& model,
                      const std::optional<bool>& is_public) const {
  if (!needs_entry(member, model)) return member.administrator || lists(*member.tenant, model);
  return is_public.value_or(access_.public_models);
}

std::vector<std::shared_ptr<const Tenant>> Tenants::all() const {
  std::vector<std::shared_ptr<const Tenant>> tenants;
  for (const auto& [name, tenant] : tenants_) tenants.push_back(tenant);
  return tenants;
}

}  // namespace pocket::daemon
