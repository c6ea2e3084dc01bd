#include "daemon/config_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/config.h"

namespace pocket::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

AccessConfig parsed(const std::string& text) {
  Config config;
  const auto read = parse_config(text, "pocket.toml", config);
  EXPECT_TRUE(read.ok()) << read.error().message;
  return config.access;
}

std::string mistake(const std::string& text) {
  Config config;
  const auto read = parse_config(text, "pocket.toml", config);
  EXPECT_FALSE(read.ok()) << text;
  if (read.ok()) return "";
  EXPECT_EQ(read.error().code, POCKET_INVALID_ARGUMENT);
  return read.error().message;
}

TEST(AccessConfig, ReadsEveryKey) {
  const AccessConfig access = parsed(
      "[access]\nstrict = true\npublic = false\nadministrators = [7, 'root']\n"
      "[[socket]]\npath = '/run/a.sock'\nmode = 0o600\ngroup = 'root'\ntenant = 'camera'\n"
      "[[socket]]\npath = '/run/b.sock'\nadministrators = true\n"
      "[tenant.camera]\nmodels = ['face*', 'mobilenet']\nsessions = 1\nchannels = 2\n"
      "shared_bytes = 65536\nin_flight = 3\ncalls_per_second = 4.5\ncpu_share = 0.5\nweight = 6\n"
      "priority = 7\n"
      "[tenant.shop]\nuid = 5\ncgroup = '/shop/*'\ncontainer = ['1f3a*']\nsocket = "
      "'/run/b.sock'\n");
  EXPECT_TRUE(access.strict);
  EXPECT_FALSE(access.public_models);
  EXPECT_THAT(access.administrators, ElementsAre(7U, 0U));
  ASSERT_EQ(access.sockets.size(), 2U);
  EXPECT_EQ(access.sockets[0], (SocketConfig{"/run/a.sock", 0600, gid_t{0}, "camera", false}));
  EXPECT_EQ(access.sockets[1], (SocketConfig{"/run/b.sock", 0660, std::nullopt, "", true}));
  ASSERT_EQ(access.tenants.size(), 2U);
  const TenantConfig& camera = access.tenants[0];
  EXPECT_EQ(camera.name, "camera");
  EXPECT_THAT(camera.models, ElementsAre("face*", "mobilenet"));
  EXPECT_EQ(camera.limits, (TenantLimits{1, 2, 65536, 3, 4.5, 0.5, 6, 7}));
  const TenantConfig& shop = access.tenants[1];
  EXPECT_THAT(shop.uids, ElementsAre(5U));
  EXPECT_THAT(shop.cgroups, ElementsAre("/shop/*"));
  EXPECT_THAT(shop.containers, ElementsAre("1f3a*"));
  EXPECT_THAT(shop.sockets, ElementsAre("/run/b.sock"));
  EXPECT_EQ(shop.limits, TenantLimits{});
}

TEST(AccessConfig, TenantsKeepTheOrderOfTheFile) {
  const AccessConfig access = parsed(
      "[tenant.z]\nuid = 1\n[limits]\nsessions = 5\n[tenant.a]\nuid = 1\n[tenant.m]\nuid = 1\n");
  std::vector<std::string> names;
  for (const auto& tenant : access.tenants) names.push_back(tenant.name);
  EXPECT_THAT(names, ElementsAre("z", "a", "m"));
  const AccessConfig inline_tables = parsed("tenant = {z = {uid = 1}, a = {uid = 1}}\n");
  ASSERT_EQ(inline_tables.tenants.size(), 2U);
  EXPECT_EQ(inline_tables.tenants[0].name, "z");
}

TEST(AccessConfig, MistakesNameLineAndKey) {
  EXPECT_EQ(mistake("\n[tenant.a]\nuid = 1\nsesions = 3\n"),
            "pocket.toml line 4: unknown key 'sesions'; did you mean 'sessions'?");
  EXPECT_THAT(mistake("[tenant.a]\nuid = 'nobody-of-that-name'\n"), HasSubstr("line 2"));
  EXPECT_THAT(mistake("[tenant.a]\nuid = -1\n"), HasSubstr("numbers or names of users"));
  EXPECT_THAT(mistake("[tenant.a]\ncgroup = 'docker/*'\n"), HasSubstr("must begin with '/'"));
  EXPECT_THAT(mistake("[tenant.a]\nuid = 1\nmodels = [3]\n"), HasSubstr("'models'"));
  EXPECT_THAT(mistake("[tenant.a]\nuid = 1\nsessions = 0\n"), HasSubstr("whole number from 1"));
  EXPECT_THAT(mistake("[tenant.a]\nuid = 1\ncpu_share = -1\n"), HasSubstr("'cpu_share'"));
  EXPECT_THAT(mistake("[tenant.'a b']\nuid = 1\n"), HasSubstr("no name of a tenant"));
  EXPECT_THAT(mistake("[tenant]\na = 3\n"), HasSubstr("[tenant.NAME]"));
  EXPECT_THAT(mistake("[[socket]]\nmode = 0o600\n"), HasSubstr("needs 'path'"));
  EXPECT_THAT(mistake("[socket]\npath = '/s'\n"), HasSubstr("[[socket]]"));
  EXPECT_THAT(mistake("[[socket]]\npath = '/s'\ngroup = 'no-such-group'\n"), HasSubstr("line 3"));
  EXPECT_THAT(mistake("[[socket]]\npath = '/s'\n[[socket]]\npath = '/s'\n"), HasSubstr("twice"));
  EXPECT_THAT(mistake("[[socket]]\npath = '/s'\ntenant = 'x'\n"), HasSubstr("no [tenant.x]"));
  EXPECT_THAT(mistake("[[socket]]\npath = '/s'\ntenant = 'x'\nadministrators = true\n"
                      "[tenant.x]\n"),
              HasSubstr("not both"));
  EXPECT_THAT(mistake("[access]\nstrikt = true\n"), HasSubstr("did you mean 'strict'?"));
}

TEST(AccessConfig, ATenantNobodyCanBeOfIsAMistake) {
  EXPECT_THAT(mistake("[tenant.a]\nsessions = 3\n"), HasSubstr("nobody can be of tenant 'a'"));
  EXPECT_EQ(parsed("[tenant.default]\nsessions = 3\n").tenants.size(), 1U);
  EXPECT_THAT(mistake("[tenant.default]\nuid = 1\n"), HasSubstr("fit no other tenant"));
}

TEST(AccessConfig, LabelsAreRefusedWithTheReason) {
  EXPECT_THAT(mistake("[tenant.a]\nlabel = 'team=a'\n"),
              ::testing::AllOf(HasSubstr("line 2"), HasSubstr("--cgroup-parent")));
}

TEST(AccessConfig, SocketsAreHeldAgainstTheServicesOwn) {
  Config config;
  config.socket = "/run/own.sock";
  ASSERT_TRUE(parse_config("[[socket]]\npath = '/run/own.sock'\n", "f", config).ok());
  EXPECT_THAT(complete_config(config).error().message, HasSubstr("the service's own socket"));
  ASSERT_TRUE(parse_config("[tenant.a]\nsocket = '/run/other.sock'\n", "f", config).ok());
  EXPECT_THAT(complete_config(config).error().message, HasSubstr("[tenant.a]"));
  ASSERT_TRUE(parse_config("[tenant.a]\nsocket = '/run/own.sock'\n", "f", config).ok());
  EXPECT_TRUE(complete_config(config).ok());
}

TEST(TenantId, IsTheSameForANameAndNeverZeroButForTheDefault) {
  EXPECT_EQ(tenant_id("camera"), tenant_id("camera"));
  EXPECT_NE(tenant_id("camera"), tenant_id("shop"));
  EXPECT_NE(tenant_id("camera"), 0U);
  EXPECT_EQ(tenant_id("default"), 0U);
}

}  // namespace
}  // namespace pocket::daemon
