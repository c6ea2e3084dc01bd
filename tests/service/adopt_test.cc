// A new pocketd takes over the runners and the clients of one that was killed or replaced.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "service.h"
#include "wire/control.h"

namespace pocket {
namespace {

using pocket::testing::eventually;
using pocket::testing::fails_with;
using pocket::testing::fd_count;
using pocket::testing::kMillisecond;
using pocket::testing::kSecond;
using pocket::testing::mappings;
using pocket::testing::outcome_of;
using pocket::testing::service_status;
using pocket::testing::settled_fd_count;
using pocket::testing::succeeds;

class AdoptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    service_.add_null_model("other", std::string("# another\n") + pocket::testing::kEcho);
    service_.add_null_model("slow", pocket::testing::kSlowEcho);
    service_.add_null_model("hang", pocket::testing::kHang);
    pocket::testing::write_file(service_.models() + "/hang/model.toml", "warmup = false\n");
    ASSERT_TRUE(service_.start_supervised()) << service_.log();
    pid_ = answering();
    ASSERT_GT(pid_, 0);
  }
  void TearDown() override {
    EXPECT_EQ(service_.stop(), 0) << service_.log();
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  /// No retries: what fails is seen.
  ConnectOptions to_service() const {
    return ConnectOptions{.socket = service_.socket(), .retry = false};
  }
  pid_t answering() const {
    const auto status = service_status(service_.socket());
    return status.ok() ? status->pid : 0;
  }
  std::vector<pid_t> runners() const {
    std::vector<pid_t> pids;
    if (const auto status = service_status(service_.socket()); status.ok()) {
      for (const auto& runner : status->runners) pids.push_back(runner->pid);
    }
    std::ranges::sort(pids);
    return pids;
  }
  uint32_t channels() const {
    uint32_t count = 0;
    if (const auto status = service_status(service_.socket()); status.ok()) {
      for (const auto& session : status->sessions) count += session->channels;
    }
    return count;
  }
  std::string state_of(const std::string& name) const {
    auto admin = pocket::testing::RawClient::greeted(service_.socket());
    const auto reply = admin->ask(wire::control::ListModelsT{});
    for (const auto& model : reply->body.AsModels()->models) {
      if (model->name == name) return model->state;
    }
    return "";
  }
  void wait_for_another() {
    ASSERT_TRUE(eventually([&] {
      const pid_t now = answering();
      return now != 0 && now != pid_;
    })) << service_.log();
    pid_ = answering();
  }
  void kill_pocketd() {
    ASSERT_EQ(::kill(pid_, SIGKILL), 0);
    wait_for_another();
  }
  /// Kills pocketd, does something while there is none, and lets the next one start.
  template <typename Body>
  void while_there_is_no_pocketd(Body body) {
    ASSERT_EQ(::kill(service_.pid(), SIGSTOP), 0);
    ASSERT_EQ(::kill(pid_, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] { return fd_count(pid_) == 0; }));
    body();
    ASSERT_EQ(::kill(service_.pid(), SIGCONT), 0);
    wait_for_another();
  }
  static void expect_echo(Call& call, float value, int64_t count = 2) {
    const auto input = call.input<float>(0, {count});
    std::ranges::fill(input, value);
    call.run(20 * kSecond);
    EXPECT_EQ(call.output(0).values<float>().back(), value);
  }
  pocket::testing::TestService service_;
  pid_t pid_ = 0;
};

TEST_F(AdoptTest, RunnersModelsAndChannelsAreTakenOver) {
  const Session session(to_service());
  const Model echo(session, "echo");
  const Model slow(session, "slow");
  Call call(echo);
  Call running(slow);
  const auto before = runners();
  ASSERT_EQ(before.size(), 2U);
  for (float round = 1; round < 4; ++round) {
    running.input<float>(0, {1})[0] = round;
    running.submit();
    ASSERT_NO_FATAL_FAILURE(kill_pocketd());
    EXPECT_TRUE(std::ranges::includes(runners(), before)) << "a model was loaded again";
    EXPECT_EQ(channels(), 2U);
    EXPECT_THAT(outcome_of([&] { running.wait(20 * kSecond); }), succeeds());
    EXPECT_EQ(running.output(0).values<float>()[0], round);
    expect_echo(call, round);
    // Control requests of the same session: more memory for a channel, another model, its end.
    expect_echo(call, round, 3'000'000 + 1'000'000 * static_cast<int64_t>(round));
    const Model other(session, "other");
  }
  const Session second(to_service());
  const Model same(second, "echo");
  EXPECT_TRUE(std::ranges::includes(runners(), before));
}

TEST_F(AdoptTest, ARequestThatWasUnderWayIsAnswered) {
  const Session session(to_service());
  std::atomic<bool> stop = false;
  std::atomic<int> opened = 0;
  std::jthread opener([&] {
    while (!stop) {
      const auto outcome = outcome_of([&] {
        const Model model(session, opened % 2 == 0 ? "echo" : "other");
        Call call(model);
        expect_echo(call, 5);
      });
      EXPECT_THAT(outcome, succeeds());
      ++opened;
    }
  });
  for (int kill = 0; kill < 3; ++kill) {
    const int before = opened;
    ASSERT_TRUE(eventually([&] { return opened > before + 2; }));
    ASSERT_NO_FATAL_FAILURE(kill_pocketd());
  }
  stop = true;
  opener.join();
  EXPECT_TRUE(eventually([&] { return channels() == 0; })) << "channels are left open";
}

TEST_F(AdoptTest, WhatAKilledPocketdOrderedToLoadIsTakenOverAsWell) {
  for (const std::string name : {"first", "second"}) {
    service_.add_null_model(name, "# " + name + "\n" + pocket::testing::kEcho);
    pocket::testing::write_file(service_.models() + "/" + name + "/model.toml", "group = 'both'\n");
  }
  const Session session(to_service());
  const Model first(session, "first");
  const pid_t runner = runners().front();
  const Session another(to_service());
  ASSERT_EQ(::kill(runner, SIGSTOP), 0);
  std::jthread opener([&] {
    EXPECT_THAT(outcome_of([&] {
                  const Model second(another, "second");
                  Call call(second);
                  expect_echo(call, 7);
                }),
                succeeds());
  });
  ASSERT_TRUE(eventually([&] { return state_of("second") == "loading"; }));
  while_there_is_no_pocketd([&] {
    ::kill(runner, SIGCONT);
    ::usleep(50'000);  // most of the time it has answered then; it must be right either way
  });
  opener.join();
  EXPECT_EQ(runners(), std::vector<pid_t>{runner});
  Call call(first);
  expect_echo(call, 8);
}

TEST_F(AdoptTest, AClientThatDiesWhileThereIsNoPocketdLeavesNothing) {
  const Session session(to_service());
  const Model model(session, "echo");
  Call call(model);
  expect_echo(call, 1);
  const pid_t runner = runners().front();
  const size_t regions = mappings(runner, "memfd:pocket-");
  const size_t kept = settled_fd_count(service_.pid());
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t client = ::fork();
  if (client == 0) {
    const Session own(to_service());
    const Model same(own, "echo");
    (void)!::write(told[1], "x", 1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(told[0], &byte, 1), 1);
  ::close(told[0]);
  ::close(told[1]);
  EXPECT_GT(mappings(runner, "memfd:pocket-"), regions);
  while_there_is_no_pocketd([&] {
    ::kill(client, SIGKILL);
    ::waitpid(client, nullptr, 0);
    expect_echo(call, 2);
  });
  EXPECT_TRUE(eventually([&] { return mappings(runner, "memfd:pocket-") == regions; }));
  EXPECT_TRUE(eventually([&] { return channels() == 1; }));
  EXPECT_TRUE(eventually([&] { return fd_count(service_.pid()) == kept; }));
  expect_echo(call, 3);
}

TEST_F(AdoptTest, ARunnerThatDiesWhileThereIsNoPocketdIsReplaced) {
  const Session session(ConnectOptions{.socket = service_.socket()});
  const Model model(session, "slow");
  Call call(model);
  call.input<float>(0, {1})[0] = 6;
  call.submit();
  const auto before = runners();
  ASSERT_FALSE(before.empty());
  while_there_is_no_pocketd([&] { ::kill(before.front(), SIGKILL); });
  EXPECT_THAT(outcome_of([&] { call.wait(20 * kSecond); }), succeeds());
  EXPECT_EQ(call.output(0).values<float>()[0], 6);
  expect_echo(call, 6, 1);  // also where the answer was there before its runner died
  EXPECT_NE(runners(), before);
  // One that was adopted and dies later is noticed as well.
  ASSERT_NO_FATAL_FAILURE(kill_pocketd());
  call.submit();
  const auto adopted = runners();
  ASSERT_FALSE(adopted.empty());
  ::kill(adopted.front(), SIGKILL);
  EXPECT_THAT(outcome_of([&] { call.wait(20 * kSecond); }), succeeds());
}

TEST_F(AdoptTest, AnUpgradeRefusesNobody) {
  const Session session(to_service());
  const Model model(session, "echo");
  Call call(model);
  const auto before = runners();
  std::atomic<bool> stop = false;
  std::atomic<int> connected = 0;
  std::jthread newcomers([&] {
    while (!stop) {
      EXPECT_THAT(outcome_of([&] {
                    const Session newcomer(ConnectOptions{.socket = service_.socket()});
                    ++connected;
                  }),
                  succeeds());
    }
  });
  for (int round = 0; round < 3; ++round) {
    auto admin = pocket::testing::RawClient::greeted(service_.socket());
    ASSERT_TRUE(admin.ok());
    const auto reply = admin->ask(wire::control::UpgradeServiceT{});
    ASSERT_TRUE(reply.ok()) << reply.error().message;
    ASSERT_NE(reply->body.AsDone(), nullptr);
    ASSERT_NO_FATAL_FAILURE(wait_for_another());
    EXPECT_EQ(runners(), before);
    expect_echo(call, 4);
  }
  stop = true;
  newcomers.join();
  EXPECT_GT(connected, 3);
}

TEST(UnsupervisedTest, IsNotUpgradedAndItsRunnersEndWithIt) {
  pocket::testing::TestService service;
  service.add_null_model("echo", pocket::testing::kEcho);
  ASSERT_TRUE(service.start()) << service.log();
  const Session session(ConnectOptions{.socket = service.socket(), .retry = false});
  const Model model(session, "echo");
  auto admin = pocket::testing::RawClient::greeted(service.socket());
  ASSERT_TRUE(admin.ok());
  const auto reply = admin->ask(wire::control::UpgradeServiceT{});
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  ASSERT_NE(reply->body.AsFailed(), nullptr);
  EXPECT_EQ(reply->body.AsFailed()->status, POCKET_FAILED_PRECONDITION);
  const pid_t runner = service.runners().front();
  service.kill_now();
  EXPECT_TRUE(eventually([&] { return fd_count(runner) == 0; }));
}

}  // namespace
}  // namespace pocket
