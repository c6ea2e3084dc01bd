// Who may use which model, who may give orders, and what each sees.
#include <unistd.h>

#include <set>

#include "fixture.h"

namespace pocket::testing {
namespace {

namespace control = wire::control;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uid_t kNobody = 65534;
constexpr uid_t kOther = 65533;

class PermissionTest : public TenantsTest {
 protected:
  std::string two_tenants() const {
    return own_socket("camera") + own_socket("shop") +
           "[tenant.camera]\nmodels = ['echo', 'slo*']\n[tenant.shop]\nmodels = 'echo'\n";
  }
  static Outcome opening(const std::string& socket, const std::string& model) {
    return outcome_of([&] {
      const Session session(through(socket));
      const Model opened(session, model);
    });
  }
  static std::set<std::string> models(const std::string& socket) {
    auto client = RawClient::greeted(socket);
    const auto answer = client->ask(control::ListModelsT{});
    std::set<std::string> names;
    for (const auto& model : answer->body.AsModels()->models) {
      names.insert(model->name);
      EXPECT_EQ(model->path, "");
      EXPECT_EQ(model->runner_pid, 0);
    }
    return names;
  }
};

TEST_F(PermissionTest, WithoutStrictModePublicModelsAreForEverybody) {
  configure(two_tenants());
  start();
  EXPECT_THAT(opening(socket_of("shop"), "echo"), succeeds());
  EXPECT_THAT(opening(socket_of("shop"), "slow"), succeeds());
  EXPECT_THAT(opening(socket_of("shop"), "secret"),
              fails_with(POCKET_PERMISSION_DENIED, "tenant 'shop'", "'secret'", "models"));
  EXPECT_THAT(models(socket_of("shop")), ElementsAre("busy", "echo", "slow"));
  const Outcome unknown = opening(socket_of("shop"), "slwo");
  EXPECT_THAT(unknown, fails_with(POCKET_NOT_FOUND, "it may use: busy, echo, slow"));
  EXPECT_THAT(unknown.message, Not(HasSubstr("secret")));
  EXPECT_THAT(unknown.message, Not(HasSubstr(folder())));
  EXPECT_THAT(opening(service_.socket(), "secret"), succeeds()) << "an administrator's";
}

TEST_F(PermissionTest, InStrictModeOnlyListedModelsAreThere) {
  configure("[access]\nstrict = true\n" + two_tenants());
  start();
  EXPECT_THAT(opening(socket_of("camera"), "slow"), succeeds());
  EXPECT_THAT(opening(socket_of("shop"), "echo"), succeeds());
  EXPECT_THAT(models(socket_of("shop")), ElementsAre("echo"));
  // Not even whether it exists can be told.
  const Outcome there = opening(socket_of("shop"), "slow");
  const Outcome not_there = opening(socket_of("shop"), "slop");
  EXPECT_THAT(there, fails_with(POCKET_PERMISSION_DENIED, "'slow'"));
  EXPECT_THAT(not_there, fails_with(POCKET_PERMISSION_DENIED, "'slop'"));
  EXPECT_EQ(there.message.size(), not_there.message.size());
  control::LoadModelT load;
  load.name = "slow";
  EXPECT_THAT(asking(socket_of("shop"), load), fails_with(POCKET_PERMISSION_DENIED, "'slow'"));
  EXPECT_EQ(tenant("shop").refusals, 3U);
}

TEST_F(PermissionTest, WhereModelsAndEnginesLieIsForAdministrators) {
  service_.add_null_model("broken", "= no model\n");
  configure(two_tenants());
  start();
  const Outcome whole = opening(service_.socket(), "broken");
  const Outcome told = opening(socket_of("shop"), "broken");
  EXPECT_THAT(whole.message, HasSubstr(service_.models() + "/broken/1/model.null"));
  EXPECT_THAT(told.message, HasSubstr("'model.null'"));
  EXPECT_THAT(told.message, Not(HasSubstr(folder())));
  EXPECT_EQ(told.status, whole.status);
  EXPECT_THAT(service_.log(), HasSubstr(service_.models() + "/broken/1/model.null"));
}

TEST_F(PermissionTest, OrdersAreForAdministrators) {
  configure(two_tenants());
  start();
  const std::string shop = socket_of("shop");
  control::UnloadModelT unload;
  unload.name = "echo";
  control::GetLeasesT repair;
  repair.reconcile = true;
  const auto refused =
      fails_with(POCKET_PERMISSION_DENIED, "root", "access.administrators", "tenant 'shop'");
  EXPECT_THAT(asking(shop, unload), refused);
  EXPECT_THAT(asking(shop, repair), refused);
  EXPECT_THAT(asking(shop, control::ReloadT{}), refused);
  EXPECT_THAT(asking(shop, control::StopServiceT{}), refused);
  EXPECT_THAT(asking(shop, control::GetLeasesT{}), succeeds());
  EXPECT_THAT(asking(service_.socket(), control::ReloadT{}), succeeds());
}

TEST_F(PermissionTest, EachSeesItsOwnTenant) {
  configure(two_tenants());
  start();
  const Session camera(through(socket_of("camera"))), again(through(socket_of("camera")));
  const Session shop(through(socket_of("shop")));
  const Model first(camera, "echo"), second(again, "echo"), third(shop, "echo");

  const auto seen = service_status(socket_of("camera"));
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->sessions.size(), 3U);  // with the one that asks
  for (const auto& session : seen->sessions) EXPECT_EQ(session->tenant, "camera");
  ASSERT_EQ(seen->tenants.size(), 1U);
  EXPECT_EQ(seen->tenants[0]->name, "camera");
  EXPECT_EQ(seen->tenants[0]->channels, 2U);
  EXPECT_THAT(seen->runners, IsEmpty());
  EXPECT_EQ(seen->models_dir, "");

  auto client = RawClient::greeted(socket_of("camera"));
  const auto models = client->ask(control::ListModelsT{});
  EXPECT_EQ(models->body.AsModels()->models[1]->name, "echo");
  EXPECT_EQ(models->body.AsModels()->models[1]->channels, 2U);

  const auto all = service_status(service_.socket());
  EXPECT_EQ(all->sessions.size(), 5U);
  EXPECT_EQ(all->tenants.size(), 3U);
  EXPECT_EQ(all->runners.size(), 1U);
}

TEST_F(PermissionTest, WhoHasNoTenantSeesItsOwnCallsAndNobodyElses) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  configure("");
  start();
  const auto call = [](const Session& session, int times) {
    auto model = std::make_unique<Model>(session, "echo");
    for (int count = 0; count < times; ++count) {
      Call one(*model);
      one.input<float>(0, {4})[0] = 1;
      one.run();
    }
    return model;
  };
  const auto calls_seen = [&] {
    auto asking = RawClient::greeted(service_.socket());
    const auto answer = asking->ask(control::GetUsageT{});
    int calls = 0;
    for (const auto& entry : answer->body.AsUsage()->entries) {
      EXPECT_EQ(entry->tenant, "default");
      EXPECT_EQ(entry->model, "echo");
      EXPECT_EQ(entry->runner_pid, 0);
      calls += static_cast<int>(entry->calls);
    }
    return calls;
  };
  const Session strangers(through(service_.socket()));
  const auto held = call(strangers, 5);
  EXPECT_EQ(as_user(kNobody, calls_seen), 0);
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      const Session first(through(service_.socket()));
                      const Session second(through(service_.socket()));
                      const auto one = call(first, 2), other = call(second, 1);
                      return calls_seen();
                    }),
            3);
  EXPECT_EQ(as_user(kOther, calls_seen), 0);
}

TEST_F(PermissionTest, ChannelsAndKeptTensorsOfOthersHaveNoName) {
  configure(own_socket("camera") + "[tenant.camera]\n");
  start();
  const Session owner(through(socket_of("camera"))), stranger(through(socket_of("camera")));
  const Model own(owner, "echo"), foreign(stranger, "echo");
  Call keeping(own);
  keeping.input<float>(0, {4})[2] = 7;
  keeping.keep_output(0);
  keeping.run();
  const uint64_t kept = keeping.kept_output(0);
  for (uint64_t guess = 0; guess <= kept + 3; ++guess) {
    Call taking(foreign);
    taking.input_kept(0, guess);
    EXPECT_THAT(outcome_of([&] { taking.run(); }).status, POCKET_NOT_FOUND) << guess;
    const int32_t released = pocket_handle_release(foreign.handle(), guess);
    EXPECT_EQ(released, POCKET_NOT_FOUND) << guess;
  }
  for (uint32_t channel = 0; channel < 20; ++channel) {
    control::CloseChannelT close;
    close.channel = channel;
    EXPECT_THAT(asking(socket_of("camera"), close), fails_with(POCKET_NOT_FOUND));
    control::GrowChannelT grow;
    grow.channel = channel;
    EXPECT_THAT(asking(socket_of("camera"), grow), fails_with(POCKET_UNAVAILABLE, "not open"));
  }
  Call taking(own);
  taking.input_kept(0, kept);
  taking.run();
  EXPECT_EQ(taking.output(0).values<float>()[2], 7) << "its owner's, whatever the other tried";
}

TEST_F(PermissionTest, UsersAreToldByTheKernel) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  configure("[access]\nstrict = true\n[tenant.camera]\nuid = " + std::to_string(kNobody) +
            "\nmodels = 'echo'\n");
  start();
  const std::string socket = service_.socket();
  EXPECT_EQ(as_user(kNobody, [&] { return opening(socket, "echo").status; }), POCKET_OK);
  EXPECT_EQ(as_user(kNobody, [&] { return opening(socket, "slow").status; }),
            POCKET_PERMISSION_DENIED);
  const auto stop = [&] { return asking(socket, control::StopServiceT{}).status; };
  EXPECT_EQ(as_user(kNobody, stop), POCKET_PERMISSION_DENIED);
  EXPECT_EQ(as_user(kOther,
                    [&] {
                      const Outcome outcome = opening(socket, "echo");
                      const bool told = outcome.message.find("access.strict") != std::string::npos;
                      return told ? outcome.status : 254;
                    }),
            POCKET_PERMISSION_DENIED);
}

TEST_F(PermissionTest, AnAdministratorIsNamedInTheConfiguration) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  configure("[access]\nadministrators = [" + std::to_string(kNobody) + "]\n");
  start();
  const auto reload = [&] { return asking(service_.socket(), control::ReloadT{}).status; };
  EXPECT_EQ(as_user(kNobody, reload), POCKET_OK);
  EXPECT_EQ(as_user(kOther, reload), POCKET_PERMISSION_DENIED);
}

TEST_F(PermissionTest, ASocketsModeDecidesWhoMayConnect) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  configure("[[socket]]\npath = '" + socket_of("group") +
            "'\nmode = 0o660\ngroup = " + std::to_string(kOther) + "\n");
  start();
  const auto connect = [&] {
    return outcome_of([&] { const Session session(through(socket_of("group"))); }).status;
  };
  EXPECT_EQ(as_user(kOther, connect), POCKET_OK);
  EXPECT_EQ(as_user(kNobody, connect), POCKET_PERMISSION_DENIED);
}

}  // namespace
}  // namespace pocket::testing
