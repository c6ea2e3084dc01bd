// What of the service's lists is shown to clients that are no administrators, and what runners are
// told of tenants.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/tenants.h"
#include "wire/control.h"

namespace pocket::daemon {

/// Fills the fields that RunnerAttach and RunnerTenant have in common.
template <typename Table>
void describe(const Tenant& tenant, Table& table) {
  table.tenant = tenant.id;
  table.tenant_name = tenant.name;
  table.weight = tenant.limits.weight;
  table.priority = tenant.limits.priority;
  table.max_in_flight = tenant.limits.in_flight;
  table.calls_per_second = tenant.limits.calls_per_second;
  table.cpu_share = tenant.limits.cpu_share;
}

/// A tenant's line in the status.
wire::control::TenantEntryT tenant_entry(const Tenant& tenant);

/// Leaves the clients for which `shown` is true and the groups that are theirs alone.
void keep_own(wire::control::LeasesT& leases, const std::function<bool(uint64_t session)>& shown);

/// Leaves what a client needs to use the model, and `channels`: how many its tenant has open.
void keep_own(wire::control::ModelEntryT& model, uint32_t channels);

/// The text with the last part of each absolute path in it: engines and files are named, not where
/// they lie.
std::string without_folders(std::string_view text);

}  // namespace pocket::daemon
