#include "daemon/tenants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace pocket::daemon {
namespace {

using ::testing::HasSubstr;

TenantConfig tenant(const std::string& name) {
  TenantConfig config;
  config.name = name;
  return config;
}

/// camera: user 5 in /kids; shop: its own socket; rest: any client in /kids.
AccessConfig some_tenants() {
  AccessConfig access;
  access.tenants = {tenant("camera"), tenant("shop"), tenant("rest")};
  access.tenants[0].uids = {5, 6};
  access.tenants[0].cgroups = {"/kids"};
  access.tenants[0].models = {"face*"};
  access.tenants[2].cgroups = {"/kids"};
  access.sockets = {{"/shop.sock", 0666, std::nullopt, "shop", false},
                    {"/admin.sock", 0600, std::nullopt, "", true}};
  return access;
}

ClientIdentity client(uid_t uid, const std::string& groups, const std::string& socket = "/s") {
  ClientIdentity identity;
  identity.uid = uid;
  identity.groups = groups;
  identity.socket = socket;
  identity.local = true;
  return identity;
}

TEST(Tenants, TheFirstThatFitsInEveryKeyCounts) {
  const AccessConfig access = some_tenants();
  const Tenants tenants(access);
  EXPECT_EQ(tenants.admit(client(5, "/kids/x\n"))->tenant->name, "camera");
  EXPECT_EQ(tenants.admit(client(6, "/kids\n"))->tenant->name, "camera");
  EXPECT_EQ(tenants.admit(client(7, "/kids\n"))->tenant->name, "rest");
  EXPECT_EQ(tenants.admit(client(5, "/other\n"))->tenant->name, "default");
  EXPECT_EQ(tenants.admit(client(5, ""))->tenant->name, "default");
}

TEST(Tenants, ASocketOfATenantDecidesAlone) {
  const AccessConfig access = some_tenants();
  const Tenants tenants(access);
  EXPECT_EQ(tenants.admit(client(5, "/kids\n", "/shop.sock"))->tenant->name, "shop");
  const auto root = tenants.admit(client(0, "", "/shop.sock"));
  EXPECT_EQ(root->tenant->name, "shop");
  EXPECT_FALSE(root->administrator);
}

TEST(Tenants, StrictModeTurnsStrangersAwayAndNoAdministrator) {
  AccessConfig access = some_tenants();
  access.strict = true;
  const Tenants tenants(access);
  const auto stranger = tenants.admit(client(4242, "/other\n"));
  ASSERT_FALSE(stranger.ok());
  EXPECT_EQ(stranger.error().code, POCKET_PERMISSION_DENIED);
  EXPECT_THAT(stranger.error().message, HasSubstr("access.strict"));
  EXPECT_TRUE(tenants.admit(client(0, "")).ok());
  EXPECT_TRUE(tenants.admit(client(5, "/kids\n")).ok());
}

TEST(Tenants, AdministratorsAreLocal) {
  AccessConfig access = some_tenants();
  access.administrators = {77};
  const Tenants tenants(access);
  EXPECT_TRUE(tenants.admit(client(0, ""))->administrator);
  EXPECT_TRUE(tenants.admit(client(::geteuid(), ""))->administrator);
  EXPECT_TRUE(tenants.admit(client(77, ""))->administrator);
  EXPECT_FALSE(tenants.admit(client(4242, ""))->administrator);
  ClientIdentity contained = client(0, "/docker/x\n");  // root of a container
  contained.local = false;
  EXPECT_FALSE(tenants.admit(contained)->administrator);
  contained.socket = "/admin.sock";
  EXPECT_TRUE(tenants.admit(contained)->administrator);
}

TEST(Tenants, ModelsAreThoseListedAndPublicOnes) {
  AccessConfig access = some_tenants();
  const Tenants tenants(access);
  const Member camera = *tenants.admit(client(5, "/kids\n"));
  const Member stranger = *tenants.admit(client(4242, ""));
  EXPECT_TRUE(tenants.may_use(camera, "facedetect", false));
  EXPECT_FALSE(tenants.may_use(camera, "resnet", false));
  EXPECT_TRUE(tenants.may_use(camera, "resnet", true));
  EXPECT_TRUE(tenants.may_use(camera, "resnet", std::nullopt));
  EXPECT_FALSE(tenants.may_use(stranger, "facedetect", false));
  access.public_models = false;
  EXPECT_FALSE(tenants.may_use(camera, "resnet", std::nullopt));
  EXPECT_TRUE(tenants.may_use(camera, "resnet", true));
  access.strict = true;
  EXPECT_FALSE(tenants.may_use(camera, "resnet", true));
  EXPECT_FALSE(tenants.needs_entry(camera, "resnet"));
  EXPECT_TRUE(tenants.may_use(camera, "facedetect", std::nullopt));
  EXPECT_TRUE(tenants.may_use(*tenants.admit(client(0, "")), "resnet", false));
}

TEST(TenantShare, IsGivenBackWhenItGoes) {
  AccessConfig access = some_tenants();
  access.tenants[0].limits = {.sessions = 1, .channels = 2, .shared_bytes = 1000};
  const Tenants tenants(access);
  const Member camera = *tenants.admit(client(5, "/kids\n"));
  {
    const auto session = TenantShare::of_session(camera);
    ASSERT_TRUE(session.ok());
    const auto second = TenantShare::of_session(camera);
    EXPECT_EQ(second.error().code, POCKET_BUSY);
    EXPECT_THAT(second.error().message, HasSubstr("tenant.camera.sessions"));
    auto channel = TenantShare::of_channel(camera);
    ASSERT_TRUE(channel.ok());
    EXPECT_TRUE(channel->add_bytes(600).ok());
    const auto more = channel->add_bytes(401);
    EXPECT_EQ(more.error().code, POCKET_RESOURCE_EXHAUSTED);
    EXPECT_THAT(more.error().message, HasSubstr("tenant.camera.shared_bytes"));
    EXPECT_TRUE(channel->add_bytes(400).ok());
    channel->remove_bytes(400);
    const TenantShare moved = std::move(*channel);
    auto other = TenantShare::of_channel(camera);
    ASSERT_TRUE(other.ok());
    EXPECT_THAT(TenantShare::of_channel(camera).error().message,
                HasSubstr("tenant.camera.channels"));
    *other = TenantShare();
    EXPECT_EQ(camera.tenant->channels, 1U);
    EXPECT_EQ(camera.tenant->bytes, 600U);
  }
  EXPECT_EQ(camera.tenant->sessions, 0U);
  EXPECT_EQ(camera.tenant->channels, 0U);
  EXPECT_EQ(camera.tenant->bytes, 0U);
  EXPECT_EQ(camera.tenant->refusals, 3U);
}

TEST(TenantShare, AdministratorsAreCountedAndNotBounded) {
  AccessConfig access = some_tenants();
  access.tenants[0].limits = {.sessions = 1};
  const Tenants tenants(access);
  const Member camera{tenants.admit(client(5, "/kids\n"))->tenant, true};
  const auto first = TenantShare::of_session(camera);
  EXPECT_TRUE(TenantShare::of_session(camera).ok());
}

TEST(Tenants, AChangeKeepsWhatIsInUse) {
  AccessConfig access = some_tenants();
  Tenants tenants(access);
  const Member camera = *tenants.admit(client(5, "/kids\n"));
  const auto session = TenantShare::of_session(camera);
  access.tenants[0].limits.sessions = 1;
  access.tenants.erase(access.tenants.begin() + 2);
  tenants.configuration_changed();
  const Member again = *tenants.admit(client(5, "/kids\n"));
  EXPECT_EQ(again.tenant, camera.tenant);
  EXPECT_FALSE(TenantShare::of_session(again).ok());
  EXPECT_EQ(tenants.admit(client(7, "/kids\n"))->tenant->name, "default");
}

}  // namespace
}  // namespace pocket::daemon
