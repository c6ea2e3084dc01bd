// Memory and descriptors that run out, on each side: one request fails with a message that says
// what to raise, and everything else goes on.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "sanitized.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::eventually;
using pocket::testing::fails_with;
using pocket::testing::fd_count;
using pocket::testing::kSanitized;
using pocket::testing::Outcome;
using pocket::testing::outcome_of;
using pocket::testing::settled_fd_count;
using pocket::testing::status_number;
using pocket::testing::succeeds;

/// Sets the soft and hard limit of a process; `value` RLIM_INFINITY lifts it as far as may be.
void limit(pid_t pid, __rlimit_resource resource, rlim_t value) {
  rlimit now{};
  ASSERT_EQ(::prlimit(pid, resource, nullptr, &now), 0);
  now.rlim_cur = std::min(value, now.rlim_max);
  ASSERT_EQ(::prlimit(pid, resource, &now, nullptr), 0);
}

class ExhaustionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    // 2^46 bytes: more than any address space has.
    service_.add_null_model("huge",
                            "[[inputs]]\nname='x'\nshape=[1]\n"
                            "[[outputs]]\nname='y'\nshape=[17592186044416]\n");
    service_.add_null_model("wide",  // its first regions have 64 MB
                            "mode='none'\n[[inputs]]\nname='x'\nshape=[16000000]\n"
                            "[[outputs]]\nname='y'\nshape=[1]\n");
    for (const char* name : {"huge", "wide"}) {
      pocket::testing::write_file(service_.models() + "/" + name + "/model.toml",
                                  "warmup = false\n");
    }
    // Only the same user may change a process's limits, unless it has CAP_SYS_RESOURCE.
    const std::string config = service_.folder() + "/pocketd.toml";
    pocket::testing::write_file(config, "[sandbox]\nuser = 'off'\ndumps = 'off'\n");
    ASSERT_TRUE(service_.start({"--config", config})) << service_.log();
    session_.emplace(to_service("steady"));
    model_.emplace(*session_, "echo");
    runner_ = service_.runners().front();
  }
  ConnectOptions to_service(const std::string& name = "test") const {
    return ConnectOptions{.socket = service_.socket(), .client_name = name, .reconnect = false};
  }
  static Outcome echoing(const Model& model, int64_t floats) {
    return outcome_of([&] {
      Call call(model);
      call.input<float>(0, {floats})[static_cast<size_t>(floats) - 1] = 3;
      call.run(20 * pocket::testing::kSecond);
      EXPECT_EQ(call.output(0).values<float>()[static_cast<size_t>(floats) - 1], 3);
    });
  }
  /// Channels of a session at the service; -1 when there is no such session.
  int channels(const std::string& name) const {
    const auto status = pocket::testing::service_status(service_.socket());
    for (const auto& entry : status->sessions) {
      if (entry->name == name) return static_cast<int>(entry->channels);
    }
    return -1;
  }
  /// Runs `body` in a process of its own; its failures are printed there.
  static void in_child(const std::function<void()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      body();
      ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  pocket::testing::TestService service_;
  std::optional<Session> session_;
  std::optional<Model> model_;
  pid_t runner_ = -1;
};

TEST_F(ExhaustionTest, AClientWithoutMemoryHearsItAndGoesOn) {
  if (kSanitized) GTEST_SKIP() << "not with a sanitizer";
  in_child([&] {
    const Session session(to_service("poor"));
    const Model model(session, "echo");
    limit(0, RLIMIT_AS, status_number(::getpid(), "VmSize") * 1024 + (rlim_t{48} << 20));
    // In adding memory, again and again: more often than a channel could fail before it had none
    // left to add.
    for (int round = 0; round < 3; ++round) {
      EXPECT_THAT(echoing(model, 50'000'000),
                  fails_with(POCKET_RESOURCE_EXHAUSTED, "mapping", "memory limits"));
      EXPECT_THAT(echoing(model, 10'000), succeeds());
    }
    EXPECT_THAT(echoing(model, 2'000'000), succeeds()) << "growth by what still fits";
    // And in opening.
    EXPECT_THAT(outcome_of([&] { const Model wide(session, "wide"); }),
                fails_with(POCKET_RESOURCE_EXHAUSTED, "opening model 'wide'", "mapping"));
    EXPECT_TRUE(eventually([&] { return channels("poor") == 1; })) << "it stays open there";
  });
  EXPECT_THAT(echoing(*model_, 1000), succeeds());
}

TEST_F(ExhaustionTest, ARunnerWithoutMemoryRefusesOneRequestAndServesOthers) {
  if (kSanitized) GTEST_SKIP() << "not with a sanitizer";
  const Session session(to_service());
  const Model greedy(session, "echo");
  limit(runner_, RLIMIT_AS, status_number(runner_, "VmSize") * 1024 + (rlim_t{32} << 20));
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(echoing(greedy, 50'000'000), fails_with(POCKET_RESOURCE_EXHAUSTED, "mapping"));
    EXPECT_THAT(echoing(greedy, 1000), succeeds());
  }
  EXPECT_THAT(echoing(*model_, 1000), succeeds());
  limit(runner_, RLIMIT_AS, RLIM_INFINITY);
  EXPECT_THAT(echoing(greedy, 2'000'000), succeeds()) << "memory can be added again";
  EXPECT_EQ(service_.runners(), std::vector<pid_t>{runner_});
}

TEST_F(ExhaustionTest, AnAnswerThatFindsNoMemoryFailsAlone) {
  const Session session(to_service());
  const Model huge(session, "huge");
  Call call(huge);
  call.input<float>(0, {1});
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "limits.region_bytes"));
  call.keep_output(0);  // on the runner's side: the engine finds no room
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "no room for 70368744177664 bytes"));
  EXPECT_THAT(echoing(*model_, 1000), succeeds());
}

TEST_F(ExhaustionTest, AClientWithoutDescriptorsHearsIt) {
  in_child([&] {
    const Session session(to_service("poor"));
    limit(0, RLIMIT_NOFILE, fd_count(::getpid()) + 1);  // counting reads a folder, too
    EXPECT_THAT(outcome_of([&] { const Model model(session, "echo"); }),
                fails_with(POCKET_RESOURCE_EXHAUSTED, "no descriptor left", "ulimit -n"));
    limit(0, RLIMIT_NOFILE, RLIM_INFINITY);
    EXPECT_TRUE(eventually([&] { return channels("poor") == 0; }));
    const Model model(session, "echo");
    EXPECT_THAT(echoing(model, 1000), succeeds());
  });
}

TEST_F(ExhaustionTest, ARunnerWithoutDescriptorsRefusesOneClient) {
  const Session session(to_service());
  limit(runner_, RLIMIT_NOFILE, settled_fd_count(runner_) + 1);
  EXPECT_THAT(outcome_of([&] { const Model model(session, "echo"); }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "no descriptor left", "ulimit -n"));
  EXPECT_THAT(echoing(*model_, 1000), succeeds());
  limit(runner_, RLIMIT_NOFILE, RLIM_INFINITY);
  const Model model(session, "echo");
  EXPECT_THAT(echoing(model, 1000), succeeds());
  EXPECT_EQ(service_.runners(), std::vector<pid_t>{runner_});
}

TEST_F(ExhaustionTest, DescriptorsAreKeptForTheServiceItself) {
  limit(service_.pid(), RLIMIT_NOFILE, settled_fd_count(service_.pid()) + 64 + 5);
  std::vector<Session> sessions;
  Outcome last;
  for (int index = 0; index < 50 && last.status == POCKET_OK; ++index) {
    last = outcome_of([&] { sessions.emplace_back(to_service()); });
  }
  EXPECT_THAT(last, fails_with(POCKET_RESOURCE_EXHAUSTED, "file descriptors", "ulimit -n"));
  ASSERT_GT(sessions.size(), 1U);
  // Who is in is served as before, also with what needs descriptors for a moment.
  for (const auto& session : sessions) {
    const Model model(session, "echo");
    EXPECT_THAT(echoing(model, 1'000'000), succeeds());
  }
  sessions.pop_back();
  EXPECT_TRUE(eventually(
      [&] { return outcome_of([&] { const Session again(to_service()); }).status == POCKET_OK; }));
}

TEST_F(ExhaustionTest, ModelsAreRefusedBeforeTheirRunnerHasNoDescriptorLeft) {
  limit(service_.pid(), RLIMIT_NOFILE, 80);  // as if it had started so: a runner has the same
  std::vector<Model> models;
  Outcome last;
  for (int index = 0; index < 50 && last.status == POCKET_OK; ++index) {
    last = outcome_of([&] { models.emplace_back(*session_, "echo"); });
  }
  EXPECT_THAT(last,
              fails_with(POCKET_RESOURCE_EXHAUSTED, "the runner of the model serves", "ulimit -n"));
  EXPECT_THAT(echoing(models.back(), 1000), succeeds());
}

TEST_F(ExhaustionTest, WithNoDescriptorAtAllClientsAreTurnedAwayInWords) {
  // One session was taken in and its number is the last: not even accept() finds another.
  limit(service_.pid(), RLIMIT_NOFILE, settled_fd_count(service_.pid()));
  EXPECT_THAT(outcome_of([&] { const Session session(to_service()); }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "descriptor"));
  EXPECT_THAT(outcome_of([&] { const Model model(*session_, "echo"); }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "ulimit -n"));
  EXPECT_THAT(echoing(*model_, 2'000'000),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "file descriptors", "ulimit -n"));
  EXPECT_THAT(echoing(*model_, 1000), succeeds());
  limit(service_.pid(), RLIMIT_NOFILE, RLIM_INFINITY);
  const Session session(to_service());
  const Model model(session, "echo");
  EXPECT_THAT(echoing(model, 1000), succeeds());
}

}  // namespace
}  // namespace pocket
