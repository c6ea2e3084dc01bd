// A service with two tenants, each behind a socket of its own, and whoever comes through the
// service's own socket: here an administrator.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "null_models.h"
#include "outcome.h"
#include "raw_client.h"
#include "service.h"

namespace pocket::testing {

class TenantsTest : public ::testing::Test {
 protected:
  TenantsTest();
  /// Where the service listens for a tenant, or for a [[socket]] of that name.
  std::string socket_of(const std::string& name) const { return folder() + "/" + name + ".sock"; }
  /// "[[socket]]" of that name, bound to that tenant.
  std::string own_socket(const std::string& tenant) const;
  void configure(const std::string& text) { write_file(config_, text); }
  void start();

  /// "Not now" is what many of these tests look for: nothing is tried again by itself.
  static ConnectOptions through(const std::string& socket) {
    return {.socket = socket, .client_name = "test", .reconnect = false, .retry = false};
  }
  /// A tenant as an administrator sees it.
  wire::control::TenantEntryT tenant(const std::string& name) const;
  /// What a RawClient through that socket is answered; the message of a Failed.
  template <typename Table>
  Outcome asking(const std::string& socket, Table body) const {
    return failure_of(socket, [&](RawClient& client) { return client.ask(std::move(body)); });
  }
  /// Runs `body` as a process of that user; its exit status, 255 when it failed. Needs root.
  static int as_user(uid_t user, const std::function<int()>& body);

  const std::string& folder() const { return service_.folder(); }
  TestService service_;
  std::string config_;

 private:
  static Outcome failure_of(const std::string& socket,
                            const std::function<Result<wire::control::MessageT>(RawClient&)>& ask);
};

}  // namespace pocket::testing
