// Handlers that loop, crash, leak or are not what they should be: their own clients learn it,
// others do not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "outcome.h"
#include "raw_client.h"
#include "raw_handler.h"
#include "service.h"

namespace pocket::testing {
namespace {

namespace fs = std::filesystem;

enum Method : uint32_t { kEcho, kCount, kFail, kThrow, kLoop, kWait, kCrash, kLeak };

Request request(Method method) {
  Request made;
  made.method = method;
  return made;
}

constexpr const char* kEchoModel =
    "mode = 'echo'\n[[inputs]]\nname = 'x'\nshape = [-1]\n[[outputs]]\nname = 'y'\nshape = [-1]\n";

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    add("app", "well", "[options]\ngrace_ms = '100'\nmemory_mb = '200'\n");
    add("impatient", "well", "[options]\ngrace_ms = '50'\ncall_limit_ms = '50'\n");
    add("innocent", "well", "");
    for (const char* kind : {"old", "refuses", "greedy", "empty"}) add(kind, kind, "");
    add("lost", "well", "uses = ['nowhere']\n");
    add("circle", "well", "uses = ['ring']\n");
    add("ring", "well", "uses = ['circle']\n");
    add("badoption", "well", "[options]\ngrace_ms = 'long'\n");
    write_file(service_.models() + "/typo/1/model.handler", "libary = 'x.so'\n");
    write_file(service_.models() + "/escape/1/model.handler",
               "library = '../../app/1/handler.so'\n");
    write_file(service_.models() + "/absent/1/model.handler", "library = 'x.so'\n");
    write_file(service_.models() + "/nonsense/1/model.handler", "library = \n");
    write_file(service_.models() + "/text/1/model.handler", "library = 'x.so'\n");
    write_file(service_.models() + "/text/1/x.so", "no library\n");
    service_.add_null_model("echo", kEchoModel);
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  void add(const std::string& name, const std::string& kind, const std::string& toml) {
    const std::string folder = service_.models() + "/" + name;
    write_file(folder + "/1/model.handler", "library = 'handler.so'\n");
    write_file(folder + "/model.toml", toml);
    fs::copy_file(std::string(TEST_HANDLERS) + "/test-handler-" + kind + ".so",
                  folder + "/1/handler.so");
  }
  Session session() { return Session({.socket = service_.socket()}); }
  Outcome opening(const std::string& name) {
    const Session here = session();
    return outcome_of([&] { Model model(here, name); });
  }
  /// The handler answers again, in a runner that was started anew where it had to be.
  void expect_back(const Model& model) {
    EXPECT_TRUE(eventually([&] {
      return outcome_of([&] { ask(model, request(kEcho), "again"); }).status == POCKET_OK;
    }));
  }
  TestService service_;
};

TEST_F(HostileTest, WhatIsNoHandlerIsRefusedWithItsReason) {
  EXPECT_THAT(opening("old"),
              fails_with(POCKET_VERSION_MISMATCH, "handler interface 2", "speaks 1"));
  EXPECT_THAT(opening("refuses"),
              fails_with(POCKET_FAILED_PRECONDITION, "its dictionary is missing"));
  EXPECT_THAT(opening("greedy"), fails_with(POCKET_INVALID_ARGUMENT, "more tensors"));
  EXPECT_THAT(opening("empty"), fails_with(POCKET_UNIMPLEMENTED, "no symbol pocket_handler_entry"));
  EXPECT_THAT(opening("text"), fails_with(POCKET_UNIMPLEMENTED, "cannot be opened"));
  EXPECT_THAT(opening("lost"), fails_with(POCKET_NOT_FOUND, "model 'lost' uses 'nowhere'"));
  EXPECT_THAT(opening("circle"), fails_with(POCKET_INVALID_ARGUMENT, "circle -> ring -> circle"));
  EXPECT_THAT(opening("typo"), fails_with(POCKET_INVALID_ARGUMENT, "unknown key 'libary'"));
  EXPECT_THAT(opening("escape"), fails_with(POCKET_INVALID_ARGUMENT, "a file in this folder"));
  EXPECT_THAT(opening("absent"), fails_with(POCKET_NOT_FOUND, "there is no file"));
  EXPECT_THAT(opening("nonsense"), fails_with(POCKET_INVALID_ARGUMENT, "line 1"));
  EXPECT_THAT(opening("badoption"),
              fails_with(POCKET_INVALID_ARGUMENT, "'grace_ms' must be a whole number"));
}

TEST_F(HostileTest, OneThatLoopsLosesItsRunnerOthersGoOn) {
  const Session here = session();
  const Model app(here, "app");
  const Session other = session();
  const Model echo(other, "echo");
  const Model innocent(other, "innocent");
  Call beside(echo);
  beside.input<float>(0, {4});
  ask(innocent, request(kCount), "");
  EXPECT_THAT(outcome_of([&] { ask(app, request(kLoop), "", 100 * kMillisecond); }),
              fails_with(POCKET_DEADLINE_EXCEEDED));
  EXPECT_TRUE(eventually(
      [&] { return service_.log().find("test.Handler went on for") != std::string::npos; }));
  expect_back(app);
  EXPECT_THAT(outcome_of([&] { beside.run(); }), succeeds());
  EXPECT_EQ(ask(innocent, request(kCount), "").message, "2 1 0");  // its runner is the same
}

TEST_F(HostileTest, OneThatLoopsWithoutADeadlineHasTheEntrys) {
  const Session here = session();
  const Model model(here, "impatient");
  EXPECT_THAT(outcome_of([&] { ask(model, request(kLoop), ""); }),
              fails_with(POCKET_INVALID_ARGUMENT, "quarantined"));
  expect_back(model);
}

TEST_F(HostileTest, OneWhoseClientIsGoneLosesItsRunnerToo) {
  const Session here = session();
  const Model watched(here, "app");
  const std::string before = ask(watched, request(kCount), "").message;
  {
    const Session doomed = session();
    const Model app(doomed, "app");
    Call call(app);
    set_request(call, request(kLoop), "");
    call.submit();
    ask(app, request(kCount), "");  // answered after the other one has started
  }
  EXPECT_TRUE(eventually(
      [&] { return service_.log().find("nobody waited for it any more") != std::string::npos; }));
  expect_back(watched);
}

TEST_F(HostileTest, OneThatHonoursTheDeadlineKeepsItsRunner) {
  const Session here = session();
  const Model app(here, "app");
  EXPECT_THAT(outcome_of([&] { ask(app, request(kWait), "", 50 * kMillisecond); }),
              fails_with(POCKET_DEADLINE_EXCEEDED));
  // The same state: 1,000 for having heard of its end, one for it, one for this.
  EXPECT_TRUE(eventually([&] { return std::stoi(ask(app, request(kCount), "").message) >= 1002; }));
}

TEST_F(HostileTest, ACancelReachesARunningCall) {
  const Session here = session();
  const Model app(here, "app");
  ask(app, request(kEcho), "");
  Call call(app);
  set_request(call, request(kWait), "");
  call.submit();
  // Seen running: another call of the client is counted after it.
  EXPECT_TRUE(eventually([&] { return std::stoi(ask(app, request(kCount), "").message) > 2; }));
  call.cancel();
  EXPECT_THAT(outcome_of([&] { call.wait(); }), fails_with(POCKET_CANCELLED));
  EXPECT_TRUE(eventually([&] { return std::stoi(ask(app, request(kCount), "").message) >= 1000; }));
}

TEST_F(HostileTest, OneThatCrashesComesBackOthersDoNotNotice) {
  const Session here = session();
  const Model app(here, "app");
  const Model innocent(here, "innocent");
  ask(innocent, request(kEcho), "");
  // It is sent again, ends a second runner, and is refused.
  EXPECT_THAT(outcome_of([&] { ask(app, request(kCrash), ""); }),
              fails_with(POCKET_INVALID_ARGUMENT, "quarantined"));
  expect_back(app);
  EXPECT_EQ(ask(innocent, request(kCount), "").message, "2 1 0");
}

TEST_F(HostileTest, OneThatLeaksLosesItsRunnerAtItsLimit) {
  const Session here = session();
  const Model app(here, "app");
  const Model innocent(here, "innocent");
  ask(innocent, request(kEcho), "");
  for (int call = 0; call < 6; ++call) {
    (void)outcome_of([&] { ask(app, request(kLeak), "\x30"); });  // 48 MiB each
  }
  EXPECT_TRUE(eventually([&] { return service_.log().find("memory_mb") != std::string::npos; }));
  expect_back(app);
  EXPECT_EQ(ask(innocent, request(kCount), "").message, "2 1 0");
}

TEST_F(HostileTest, AnotherClientOfTheSameHandlerGetsItsAnswers) {
  const Session here = session();
  const Model guilty(here, "app");
  const Session other = session();
  const Model victim(other, "app");
  const auto is_answered = [&](const char* after) {
    // Its call may have been in the runner that ended: then it is sent again by itself.
    EXPECT_THAT(outcome_of([&] { EXPECT_EQ(ask(victim, request(kEcho), "mine").message, "mine"); }),
                succeeds())
        << after;
  };
  ask(victim, request(kEcho), "");
  EXPECT_THAT(outcome_of([&] { ask(guilty, request(kThrow), ""); }),
              fails_with(POCKET_ENGINE_ERROR, "a surprise"));
  EXPECT_EQ(ask(victim, request(kCount), "").message, "2 2 0");  // nothing of its state is lost
  is_answered("a throw");
  (void)outcome_of([&] { ask(guilty, request(kLoop), "", 50 * kMillisecond); });
  is_answered("a loop");
  EXPECT_THAT(outcome_of([&] { ask(guilty, request(kCrash), ""); }),
              fails_with(POCKET_INVALID_ARGUMENT, "quarantined"));
  is_answered("a crash");
  for (int call = 0; call < 6; ++call) {
    (void)outcome_of([&] { ask(guilty, request(kLeak), "\x30"); });
    is_answered("a leak");
  }
}

}  // namespace
}  // namespace pocket::testing
