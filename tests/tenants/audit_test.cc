// The audit trail: each refusal with who, what and why; and no flood of them.
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "fixture.h"

namespace pocket::testing {
namespace {

namespace control = wire::control;
using nlohmann::json;
using ::testing::HasSubstr;

class AuditTest : public TenantsTest {
 protected:
  std::string trail() const { return service_.folder() + "/audit"; }
  std::string log_table(const std::string& more = "") const {
    return "[log]\nformat = 'json'\naudit = '" + trail() + "'\n" + more;
  }
  static std::vector<json> lines_of(const std::string& path) {
    std::vector<json> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }
  /// The first record of this kind, once it is there.
  json record(const std::string& kind, const std::string& event = "refused") const {
    json found;
    EXPECT_TRUE(eventually([&] {
      for (const json& line : lines_of(trail())) {
        if (line["kind"] == kind && line["event"] == event) found = line;
        if (!found.is_null()) return true;
      }
      return false;
    })) << "no '"
        << kind << "'";
    return found.is_null() ? json::object() : found;
  }
  Outcome reloading() { return asking(service_.socket(), control::ReloadT{}); }
};

TEST_F(AuditTest, SaysWhoWhatAndWhy) {
  configure(log_table() + own_socket("camera") +
            "[tenant.camera]\nchannels = 1\nkept_bytes = 20\n");
  start();
  struct stat file {};
  ASSERT_EQ(::stat(trail().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);

  const Session session(through(socket_of("camera")));
  EXPECT_THAT(outcome_of([&] { const Model model(session, "secret"); }).status,
              POCKET_PERMISSION_DENIED);
  const json permission = record("permission");
  EXPECT_EQ(permission["tenant"], "camera");
  EXPECT_EQ(permission["uid"], ::getuid());
  EXPECT_EQ(permission["pid"], ::getpid());
  EXPECT_EQ(permission["client"], "test");
  EXPECT_EQ(permission["what"], "OpenModel");
  EXPECT_EQ(permission["status"], "PERMISSION_DENIED");
  EXPECT_THAT(permission["why"].get<std::string>(), HasSubstr("'secret'"));
  EXPECT_TRUE(permission.contains("group"));
  EXPECT_THAT(permission["time"].get<std::string>(), ::testing::MatchesRegex("[0-9T:.+-]+"));

  const Model model(session, "echo");
  EXPECT_THAT(outcome_of([&] { const Model more(session, "echo"); }).status,
              POCKET_RESOURCE_EXHAUSTED);
  EXPECT_THAT(record("limit")["why"].get<std::string>(), HasSubstr("tenant.camera.channels"));

  // What the runner refuses: a kept tensor that is not the session's.
  Call call(model);
  call.input_kept(0, 77);
  EXPECT_THAT(outcome_of([&] { call.run(); }).status, POCKET_NOT_FOUND);
  const json handle = record("handle");
  EXPECT_EQ(handle["tenant"], "camera");
  EXPECT_EQ(handle["what"], "call of echo");
  EXPECT_EQ(handle["pid"], ::getpid());

  // A connection that speaks no sense.
  auto client = RawClient::greeted(socket_of("camera"));
  ASSERT_TRUE(client.ok());
  ASSERT_EQ(::send(client->fd(), "rubbish", 7, 0), 7);
  EXPECT_FALSE(client->hear().ok());
  EXPECT_EQ(record("malformed")["status"], "DATA_LOSS");
}

TEST_F(AuditTest, KeptTensorsOfAllSessionsAreBounded) {
  configure(log_table() + own_socket("camera") + "[tenant.camera]\nkept_bytes = 40\n");
  start();
  const Session first(through(socket_of("camera")));
  std::optional<Session> second(through(socket_of("camera")));
  const auto keep = [](const Session& session) {
    return outcome_of([&] {
      const Model model(session, "echo");
      Call call(model);
      call.input<float>(0, {4})[0] = 1;
      call.keep_output(0);
      call.run();
    });
  };
  // Of models that stay open, or what they keep goes with them.
  const Model one(first, "echo"), other(*second, "echo");
  EXPECT_THAT(keep(first), succeeds());
  EXPECT_THAT(keep(*second), succeeds());
  EXPECT_THAT(keep(first), fails_with(POCKET_RESOURCE_EXHAUSTED, "tenant.camera.kept_bytes", "40"));
  EXPECT_THAT(record("limit")["why"].get<std::string>(), HasSubstr("tenant.camera.kept_bytes"));
}

TEST_F(AuditTest, AFloodIsCountedAndNotWritten) {
  configure(log_table("per_second = 3\n") + own_socket("camera") +
            "[tenant.camera]\ncalls_per_second = 0.001\n");
  start();
  const Session session(through(socket_of("camera")));
  const Model model(session, "echo");
  constexpr int kCalls = 500;
  for (int index = 0; index < kCalls; ++index) {
    (void)outcome_of([&] {
      Call call(model);
      call.input<float>(0, {4})[0] = 1;
      call.run();
    });
    (void)outcome_of([&] { const Model secret(session, "secret"); });
  }
  // Every refusal is in one of the lines, and there are few lines.
  const auto counted = [&](const std::string& kind) {
    uint64_t sum = 0;
    for (const json& line : lines_of(trail())) {
      if (line["kind"] == kind) sum += line["count"].get<uint64_t>();
    }
    return sum;
  };
  EXPECT_TRUE(eventually([&] { return counted("permission") == kCalls; }));
  EXPECT_TRUE(eventually([&] { return counted("limit") >= kCalls - 1; }));
  EXPECT_EQ(counted("permission"), static_cast<uint64_t>(kCalls));
  EXPECT_GT(record("permission", "left_out")["count"].get<uint64_t>(), 100U);
  EXPECT_LT(lines_of(trail()).size(), 200U);
}

TEST_F(AuditTest, AReloadMakesTheFileAnewAndAMistakeChangesNothing) {
  configure(log_table() + own_socket("camera") + "[tenant.camera]\n");
  start();
  const Session session(through(socket_of("camera")));
  const auto refused = [&] { (void)outcome_of([&] { const Model model(session, "secret"); }); };
  refused();
  EXPECT_EQ(record("permission")["tenant"], "camera");
  std::filesystem::rename(trail(), trail() + ".old");
  EXPECT_THAT(reloading(), succeeds());
  refused();
  EXPECT_EQ(record("permission")["tenant"], "camera");
  EXPECT_EQ(lines_of(trail()).size(), 1U);

  configure("[log]\naudit = '" + service_.folder() + "/none/audit'\n[limits]\nsessions = 1\n");
  EXPECT_THAT(reloading(), fails_with(POCKET_NOT_FOUND, "nothing has changed", "/none/audit"));
  refused();
  EXPECT_EQ(lines_of(trail()).size(), 2U);
  configure("[log]\nformat = 'xml'\n");
  EXPECT_THAT(reloading(), fails_with(POCKET_INVALID_ARGUMENT, "'format' must be text or json"));
  // Also then whoever moves the file away gets a new one.
  std::filesystem::rename(trail(), trail() + ".older");
  (void)reloading();
  refused();
  EXPECT_EQ(lines_of(trail()).size(), 1U);
}

TEST_F(AuditTest, WithoutAFileTheLogHasIt) {
  configure(own_socket("camera") + "[tenant.camera]\n");
  start();
  const Session session(through(socket_of("camera")));
  (void)outcome_of([&] { const Model model(session, "secret"); });
  EXPECT_TRUE(eventually([&] {
    return service_.log().find(
               "refused kind=permission status=PERMISSION_DENIED "
               "tenant=\"camera\"") != std::string::npos;
  })) << service_.log();
}

}  // namespace
}  // namespace pocket::testing
