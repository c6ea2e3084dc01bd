// The configuration read anew: what is in force at once, and that a mistake changes nothing.
#include <signal.h>
#include <sys/stat.h>

#include <fstream>

#include "fixture.h"

namespace pocket::testing {
namespace {

namespace control = wire::control;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReloadTest : public TenantsTest {
 protected:
  control::ReloadedT reload() const {
    auto client = RawClient::greeted(service_.socket());
    const auto answer = client->ask(control::ReloadT{});
    const auto* reloaded = answer->body.AsReloaded();
    EXPECT_NE(reloaded, nullptr) << (answer->body.AsFailed() ? answer->body.AsFailed()->message
                                                             : "another answer");
    return reloaded == nullptr ? control::ReloadedT{} : *reloaded;
  }
  Outcome reloading() const { return asking(service_.socket(), control::ReloadT{}); }
  static Outcome calling(const Model& model) {
    return outcome_of([&] {
      Call call(model);
      call.input<float>(0, {4})[0] = 1;
      call.run();
    });
  }
};

TEST_F(ReloadTest, ATenantAndItsSocketComeAndGo) {
  configure("");
  start();
  configure(own_socket("camera") + "[tenant.camera]\nsessions = 1\n");
  EXPECT_THAT(reload().changed,
              ElementsAre("tenant.camera: new", "socket " + socket_of("camera") + ": new"));
  std::optional<Session> session(through(socket_of("camera")));
  const Model model(*session, "echo");
  EXPECT_THAT(calling(model), succeeds());
  EXPECT_THAT(outcome_of([&] { const Session more(through(socket_of("camera"))); }),
              fails_with(POCKET_BUSY, "tenant.camera.sessions"));
  configure("");
  EXPECT_THAT(reload().changed,
              ElementsAre("tenant.camera: gone", "socket " + socket_of("camera") + ": gone"));
  EXPECT_THAT(outcome_of([&] { const Session more(through(socket_of("camera"))); }),
              fails_with(POCKET_NOT_FOUND));
  struct stat info {};
  EXPECT_NE(::stat(socket_of("camera").c_str(), &info), 0);
}

TEST_F(ReloadTest, AMistakeChangesNothingAndIsNamed) {
  configure(own_socket("camera") + "[tenant.camera]\nmodels = 'echo'\n");
  start();
  const Session session(through(socket_of("camera")));
  const Model model(session, "echo");
  configure("[limits]\nsessions = 1\n[tenant.camera]\nuid = 1\nsesions = 3\n");
  EXPECT_THAT(reloading(),
              fails_with(POCKET_INVALID_ARGUMENT, "nothing has changed", config_ + " line 5",
                         "'sesions'", "did you mean 'sessions'?"));
  EXPECT_THAT(calling(model), succeeds());
  // A socket that cannot be had, beside one that could.
  configure(own_socket("camera") + own_socket("shop") + "[[socket]]\npath = '" + config_ +
            "'\n[tenant.camera]\n[tenant.shop]\n");
  EXPECT_THAT(reloading(), fails_with(POCKET_ALREADY_EXISTS, "nothing has changed", config_));
  EXPECT_THAT(outcome_of([&] { const Session shop(through(socket_of("shop"))); }),
              fails_with(POCKET_NOT_FOUND));
  EXPECT_THAT(calling(model), succeeds());
  EXPECT_EQ(tenant("camera").sessions, 1U);
}

TEST_F(ReloadTest, WhatNeedsARestartIsNamed) {
  configure("[models]\nkeep_alive_seconds = 5\n");
  start();
  configure("[models]\nkeep_alive_seconds = 6\n[engines]\nthreads = 999\n");
  const auto reloaded = reload();
  EXPECT_THAT(reloaded.changed, ElementsAre("models.keep_alive_seconds: 6, was 5"));
  EXPECT_THAT(reloaded.needs_restart, Contains("engines.threads"));
  const auto again = reload();
  EXPECT_THAT(again.changed, IsEmpty());
}

TEST_F(ReloadTest, LimitsOfCallsReachRunnersThatAreThere) {
  configure(own_socket("camera") + "[tenant.camera]\n");
  start();
  const Session session(through(socket_of("camera")));
  const Model model(session, "echo");
  for (int index = 0; index < 50; ++index) ASSERT_THAT(calling(model), succeeds());
  configure(own_socket("camera") + "[tenant.camera]\ncalls_per_second = 0.01\n");
  reload();
  EXPECT_TRUE(eventually([&] { return calling(model).status == POCKET_BUSY; }));
  configure(own_socket("camera") + "[tenant.camera]\n");
  reload();
  EXPECT_TRUE(eventually([&] { return calling(model).status == POCKET_OK; }));
}

TEST_F(ReloadTest, AModelThatIsNotAllowedAnyMoreIsTakenAway) {
  const std::string before = "[access]\nstrict = true\n" + own_socket("camera");
  configure(before + "[tenant.camera]\nmodels = ['echo', 'slow']\n");
  start();
  const Session session(ConnectOptions{
      .socket = socket_of("camera"), .client_name = "test", .reconnect = true, .retry = false});
  const Model echo(session, "echo"), slow(session, "slow");
  Call running(slow);
  running.input<float>(0, {4})[0] = 1;
  running.submit();
  configure(before + "[tenant.camera]\nmodels = ['echo']\n");
  reload();
  // Answered before the channel broke, or broken.
  const Outcome last = outcome_of([&] { running.wait(); });
  EXPECT_TRUE(last.status == POCKET_OK || last.status == POCKET_UNAVAILABLE) << last.message;
  EXPECT_THAT(calling(slow), fails_with(POCKET_PERMISSION_DENIED, "'slow'"));
  EXPECT_THAT(calling(echo), succeeds());
  configure(before + "[tenant.camera]\nmodels = ['echo', 'slow']\n");
  reload();
  EXPECT_THAT(calling(slow), succeeds());
}

TEST_F(ReloadTest, AClientOfAnotherTenantComesBackAsThat) {
  const std::string socket = "[[socket]]\npath = '" + socket_of("some") + "'\nmode = 0o666\n";
  configure(socket + "tenant = 'camera'\n[tenant.camera]\n");
  start();
  const Session session(
      ConnectOptions{.socket = socket_of("some"), .client_name = "test", .reconnect = true});
  const Model model(session, "echo");
  configure(socket + "tenant = 'shop'\n[tenant.shop]\n[tenant.camera]\nuid = 65533\n");
  reload();
  EXPECT_TRUE(eventually([&] { return calling(model).status == POCKET_OK; }));
  EXPECT_EQ(tenant("camera").sessions, 0U);
  EXPECT_EQ(tenant("shop").sessions, 1U);
}

TEST_F(ReloadTest, ASignalDoesTheSame) {
  configure("");
  start();
  configure("[tenant.camera]\nuid = 65533\n");
  ASSERT_EQ(::kill(service_.pid(), SIGHUP), 0);
  EXPECT_TRUE(eventually([&] {
    const auto status = service_status(service_.socket());
    return status.ok() && status->tenants.size() == 2;
  }));
  configure("[tenant.camera\n");
  ASSERT_EQ(::kill(service_.pid(), SIGHUP), 0);
  EXPECT_TRUE(eventually([&] {
    return service_.log().find("nothing has changed: " + config_ + " line 1") != std::string::npos;
  }));
  EXPECT_EQ(tenant("camera").sessions, 0U);  // still there
}

}  // namespace
}  // namespace pocket::testing
