// What the command line asks of a running service.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "client/session.h"
#include "wire/control.h"

namespace pocket::cli {

/// Connects as the command line does; an empty socket means the usual places.
Result<std::shared_ptr<client::Session>> connect(const std::string& socket);

Result<wire::control::StatusT> get_status(client::Session& session);
Result<wire::control::ModelsT> list_models(client::Session& session);
Result<void> load_model(client::Session& session, const std::string& name,
                        const std::string& version, const std::string& engine);
/// An empty engine means all that have it.
Result<void> unload_model(client::Session& session, const std::string& name,
                          const std::string& version, const std::string& engine);
/// Requests that ended a runner twice, of one model or ("") of all; `clear`: they may run again.
Result<wire::control::QuarantineT> get_quarantine(client::Session& session, bool clear,
                                                  const std::string& model);
Result<void> upgrade_service(client::Session& session);
Result<void> stop_service(client::Session& session);
/// The service reads its configuration anew; an error says why nothing has changed.
Result<wire::control::ReloadedT> reload(client::Session& session);
/// What the calls came to: everybody's for administrators, else the own tenant's.
Result<wire::control::UsageT> get_usage(client::Session& session);
/// With `reconcile` the service first holds its ledger against the groups, and repairs.
Result<wire::control::LeasesT> get_leases(client::Session& session, bool reconcile);

}  // namespace pocket::cli
