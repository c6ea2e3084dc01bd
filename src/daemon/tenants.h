// Which tenant a client belongs to, what tenants may do, and what they have.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/access_config.h"
#include "daemon/identity.h"

namespace pocket::daemon {

/// One tenant as it is now. Loop's thread only.
struct Tenant {
  uint32_t id = 0;
  std::string name;
  TenantLimits limits;
  std::vector<std::string> models;  // patterns
  // In use, kept by TenantShare alone.
  uint32_t sessions = 0;
  uint32_t channels = 0;
  uint64_t bytes = 0;
  uint64_t refusals = 0;  // requests not allowed or over a limit
};

/// Who a client is to the service.
struct Member {
  std::shared_ptr<Tenant> tenant;
  bool administrator = false;  // counts in its tenant, and is held to none of its limits
};

/// A session's or channel's part of what its tenant may have: given back when it is destroyed.
/// Move-only. Loop's thread only.
class TenantShare {
 public:
  TenantShare() = default;
  ~TenantShare() { give_back(); }
  TenantShare(TenantShare&& other) noexcept;
  TenantShare& operator=(TenantShare&& other) noexcept;

  /// BUSY when the tenant has as many sessions as it may.
  static Result<TenantShare> of_session(const Member& member);
  /// RESOURCE_EXHAUSTED when it has as many open models as it may.
  static Result<TenantShare> of_channel(const Member& member);
  /// RESOURCE_EXHAUSTED when the tenant would have more shared memory than it may.
  Result<void> add_bytes(uint64_t bytes);
  void remove_bytes(uint64_t bytes);

 private:
  explicit TenantShare(const Member& member)
      : tenant_(member.tenant), bounded_(!member.administrator) {}
  void give_back();
  std::shared_ptr<Tenant> tenant_;
  bool bounded_ = true;
  uint32_t sessions_ = 0;
  uint32_t channels_ = 0;
  uint64_t bytes_ = 0;
};

/// Loop's thread only.
class Tenants {
 public:
  /// `access` is read anew at each question and must outlive it.
  explicit Tenants(const AccessConfig& access);

  /// PERMISSION_DENIED in strict mode for who fits no tenant and is no administrator.
  Result<Member> admit(const ClientIdentity& client) const;
  /// Whether the tenant may use a model; `is_public` is what the model's entry says.
  bool may_use(const Member& member, const std::string& model,
               const std::optional<bool>& is_public) const;
  /// Whether may_use depends on what the entry says.
  bool needs_entry(const Member& member, const std::string& model) const;

  /// `access` has changed: tenants that stay keep what they have in use.
  void configuration_changed();
  std::vector<std::shared_ptr<const Tenant>> all() const;

 private:
  std::shared_ptr<Tenant> named(const std::string& name) const { return tenants_.at(name); }
  bool is_administrator(const ClientIdentity& client, const SocketConfig* socket) const;

  const AccessConfig& access_;
  std::map<std::string, std::shared_ptr<Tenant>> tenants_;  // kDefaultTenant is always there
};

}  // namespace pocket::daemon
