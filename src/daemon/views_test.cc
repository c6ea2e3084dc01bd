#include "daemon/views.h"

#include <gtest/gtest.h>

namespace pocket::daemon {
namespace {

namespace control = wire::control;

void add_client(control::LeasesT& leases, uint64_t session, const std::string& group) {
  auto client = std::make_unique<control::LeaseClientT>();
  client->session = session;
  client->runner_pid = 99;
  auto side = std::make_unique<control::LeaseSideT>();
  side->group = group;
  client->sides.push_back(std::move(side));
  leases.clients.push_back(std::move(client));
  auto account = std::make_unique<control::LeaseAccountT>();
  account->group = group;
  leases.accounts.push_back(std::move(account));
}

TEST(Views, OfLeasesOnlyTheOwnClientsAndGroupsStay) {
  control::LeasesT leases;
  add_client(leases, 1, "/own");
  add_client(leases, 2, "/other");
  add_client(leases, 3, "/shared");
  add_client(leases, 4, "/shared");
  leases.runners.push_back(std::make_unique<control::LeaseRunnerT>());
  leases.sums.push_back(std::make_unique<control::LeaseSumT>());
  leases.notes.emplace_back("runner 99 has no budget");
  leases.total_wakeups = 5;
  keep_own(leases, [](uint64_t session) { return session == 1 || session == 3; });
  ASSERT_EQ(leases.clients.size(), 2U);
  EXPECT_EQ(leases.clients[0]->session, 1U);
  EXPECT_EQ(leases.clients[0]->runner_pid, 0);
  EXPECT_EQ(leases.clients[1]->session, 3U);
  ASSERT_EQ(leases.accounts.size(), 1U);
  EXPECT_EQ(leases.accounts[0]->group, "/own");
  EXPECT_TRUE(leases.runners.empty() && leases.sums.empty() && leases.notes.empty());
  EXPECT_EQ(leases.total_wakeups, 0U);
}

TEST(Views, OfAModelOthersAreNotToldOf) {
  control::ModelEntryT model;
  model.name = "m";
  model.state = "ready";
  model.digest = "d";
  model.path = "/var/lib/pocket/models/m/1";
  model.error = "its runner was killed";
  model.runner_pid = 7;
  model.calls = 8;
  model.channels = 9;
  model.memory_bytes = 10;
  keep_own(model, 2);
  EXPECT_EQ(model.name + model.state + model.digest, "mreadyd");
  EXPECT_EQ(model.path + model.error, "");
  EXPECT_EQ(model.runner_pid, 0);
  EXPECT_EQ(model.calls, 0U);
  EXPECT_EQ(model.memory_bytes, 0U);
  EXPECT_EQ(model.channels, 2U);
}

TEST(Views, ATenantsLimitsReachRunnerAndStatus) {
  Tenant tenant;
  tenant.id = 5;
  tenant.name = "camera";
  tenant.limits = {1, 2, 3, 4, 5.5, 6.5, 7, 8};
  tenant.sessions = 9;
  control::RunnerTenantT told;
  describe(tenant, told);
  EXPECT_EQ(told.tenant, 5U);
  EXPECT_EQ(told.tenant_name, "camera");
  EXPECT_EQ(told.max_in_flight, 4U);
  EXPECT_EQ(told.calls_per_second, 5.5);
  EXPECT_EQ(told.cpu_share, 6.5);
  EXPECT_EQ(told.weight, 7U);
  EXPECT_EQ(told.priority, 8U);
  const control::TenantEntryT entry = tenant_entry(tenant);
  EXPECT_EQ(entry.sessions, 9U);
  EXPECT_EQ(entry.max_sessions, 1U);
  EXPECT_EQ(entry.max_region_bytes, 3U);
}

TEST(Views, PathsLoseTheirFolders) {
  for (const auto& [text, shown] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", ""},
           {"nothing to hide, 3/4 of it", "nothing to hide, 3/4 of it"},
           {"opening '/srv/the models/a/1/model.onnx': no", "opening 'model.onnx': no"},
           {"/srv/a/model.xml: line 3 (see /srv/b/, c)", "model.xml: line 3 (see b, c)"},
           {"path=/srv/a/b", "path=b"},
           {"file:///srv/a", "file:a"},
           {"the folder / and '/'", "the folder / and '/'"},
           {"unclosed '/srv/a b/c", "unclosed 'c"},
           {"//", "/"},
       }) {
    EXPECT_EQ(without_folders(text), shown);
  }
}

}  // namespace
}  // namespace pocket::daemon
