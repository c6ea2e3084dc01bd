#include "daemon/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pocket::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Config parsed(const std::string& text) {
  Config config;
  const auto read = parse_config(text, "pocket.toml", config);
  EXPECT_TRUE(read.ok()) << read.error().message;
  return config;
}

TEST(ConfigChanges, TheSameFileChangesNothing) {
  Config live = parsed("[tenant.a]\nuid = 1\n[[socket]]\npath = '/s'\n");
  const ConfigChanges changes = apply_changes(live, Config(live));
  EXPECT_THAT(changes.changed, IsEmpty());
  EXPECT_THAT(changes.needs_restart, IsEmpty());
}

TEST(ConfigChanges, LimitsAndTenantsAreTakenOver) {
  Config live = parsed("[limits]\nsessions = 5\n[tenant.a]\nuid = 1\n[tenant.b]\nuid = 2\n");
  const Config wanted = parsed(
      "[limits]\nsessions = 6\n[access]\nstrict = true\n[tenant.a]\nuid = 1\nsessions = 3\n"
      "[tenant.c]\nuid = 3\n[[socket]]\npath = '/s'\n");
  const ConfigChanges changes = apply_changes(live, wanted);
  EXPECT_THAT(changes.changed, ElementsAre("limits.sessions: 6, was 5",
                                           "access.strict: true, was false", "tenant.a: changed",
                                           "tenant.c: new", "tenant.b: gone", "socket /s: new"));
  EXPECT_THAT(changes.needs_restart, IsEmpty());
  EXPECT_EQ(live.sessions, 6U);
  EXPECT_EQ(live.access, wanted.access);
}

TEST(ConfigChanges, AnotherOrderOfTenantsIsAChange) {
  Config live = parsed("[tenant.a]\nuid = 1\n[tenant.b]\nuid = 1\n");
  const ConfigChanges changes =
      apply_changes(live, parsed("[tenant.b]\nuid = 1\n[tenant.a]\nuid = 1\n"));
  EXPECT_THAT(changes.changed, ElementsAre("tenants: in another order"));
}

TEST(ConfigChanges, WhatNeedsARestartIsNamedAndLeft) {
  Config live = parsed("[service]\nmodels = 'a'\n[budget]\ncpus = 1\n");
  const ConfigChanges changes =
      apply_changes(live, parsed("[service]\nmodels = 'b'\n[budget]\ncpus = 2\n"));
  EXPECT_THAT(changes.changed, IsEmpty());
  EXPECT_THAT(changes.needs_restart, ElementsAre("service.models", "budget.cpus"));
  EXPECT_EQ(live.models, "a");
  EXPECT_EQ(live.cpus, 1);
}

}  // namespace
}  // namespace pocket::daemon
