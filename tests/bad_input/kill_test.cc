// kill -9 in mid-call, of a client and of a runner: what is left, and who notices.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/clock.h"
#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::eventually;
using pocket::testing::fails_with;
using pocket::testing::fd_count;
using pocket::testing::kMillisecond;
using pocket::testing::kSecond;
using pocket::testing::mappings;
using pocket::testing::outcome_of;
using pocket::testing::own_bytes;
using pocket::testing::settled_fd_count;
using pocket::testing::succeeds;

class KillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    service_.add_null_model("slow", pocket::testing::kSlowEcho);
    service_.add_null_model("hang", pocket::testing::kHang);
    service_.add_null_model(
        "crash",
        "mode = 'crash'\n[[inputs]]\nname='x'\nshape=[1]\n[[outputs]]\nname='y'\nshape=[1]\n");
    for (const char* name : {"hang", "crash"}) {
      pocket::testing::write_file(service_.models() + "/" + name + "/model.toml",
                                  "warmup = false\n");
    }
    const std::string config = service_.folder() + "/pocketd.toml";
    pocket::testing::write_file(config, "[service]\ndrain_seconds = 0.1\n");
    ASSERT_TRUE(service_.start({"--config", config})) << service_.log();
  }
  /// What fails is seen as it is.
  ConnectOptions to_service() const {
    return ConnectOptions{.socket = service_.socket(), .retry = false};
  }
  pocket::testing::TestService service_;
};

/// A client that has a call of `floats` running and 50 more queued, and says so on `told`.
[[noreturn]] void be_a_busy_client(const ConnectOptions& options, int64_t floats, int told) {
  const Session session(options);
  const Model model(session, "slow");
  std::vector<Call> calls;
  for (int index = 0; index < 51; ++index) {
    auto values = calls.emplace_back(model).input<float>(0, {index == 0 ? floats : 1});
    std::ranges::fill(values, 1.0F);
  }
  Call first(model);  // proves that the runner has taken things in
  first.input<float>(0, {1});
  first.run();
  for (auto& call : calls) call.submit();
  (void)outcome_of([&] { calls.front().wait(50 * kMillisecond); });
  (void)!::write(told, "x", 1);
  while (true) ::pause();
}

TEST_F(KillTest, NothingOfAKilledClientIsLeft) {
  // The model stays loaded through a client that does nothing.
  const Session session(to_service());
  const Model model(session, "slow");
  const pid_t runner = service_.runners().front();
  const size_t runner_fds = settled_fd_count(runner);
  const size_t service_fds = settled_fd_count(service_.pid());
  const size_t regions = mappings(runner, "memfd:pocket-");
  ASSERT_EQ(regions, 2U);
  const uint64_t memory = own_bytes(runner);
  constexpr int64_t kFloats = 8'000'000;  // 32 MB each way

  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t client = ::fork();
  if (client == 0) be_a_busy_client(to_service(), kFloats, told[1]);
  ::close(told[1]);
  char byte = 0;
  ASSERT_EQ(::read(told[0], &byte, 1), 1);
  ::close(told[0]);
  EXPECT_GT(fd_count(runner), runner_fds);
  EXPECT_GT(mappings(runner, "memfd:pocket-"), regions);
  ::kill(client, SIGKILL);
  ASSERT_EQ(::waitpid(client, nullptr, 0), client);

  EXPECT_TRUE(eventually([&] { return mappings(runner, "memfd:pocket-") == regions; }));
  EXPECT_TRUE(eventually([&] { return fd_count(runner) == runner_fds; }));
  EXPECT_TRUE(eventually([&] { return fd_count(service_.pid()) == service_fds; }));
  EXPECT_TRUE(eventually([&] { return own_bytes(runner) < memory + (uint64_t{4} << 20); }))
      << own_bytes(runner) - memory << " bytes more than before";
  EXPECT_TRUE(eventually(
      [&] { return pocket::testing::service_status(service_.socket())->sessions.size() == 2; }));
  Call call(model);  // at once: what the dead client had queued is not run
  call.input<float>(0, {1})[0] = 4;
  call.run(5 * kSecond);
  EXPECT_EQ(call.output(0).values<float>()[0], 4);
}

TEST_F(KillTest, ItIsBackAMomentAfterTheKill) {
  const Session session(to_service());
  const Model model(session, "echo");
  const pid_t runner = service_.runners().front();
  const size_t runner_fds = settled_fd_count(runner);
  const size_t service_fds = settled_fd_count(service_.pid());
  const size_t regions = mappings(runner, "memfd:pocket-");
  const uint64_t memory = own_bytes(runner);
  std::vector<double> taken_ms;
  for (int round = 0; round < 5; ++round) {
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t client = ::fork();
    if (client == 0) {
      const Session own(to_service());
      const Model same(own, "echo");
      Call call(same);
      std::ranges::fill(call.input<float>(0, {4'000'000}), 1.0F);  // 16 MB each way
      call.keep_output(0);                                         // and once more
      call.run();
      (void)!::write(told[1], "x", 1);
      while (true) ::pause();
    }
    ::close(told[1]);
    char byte = 0;
    ASSERT_EQ(::read(told[0], &byte, 1), 1);
    ::close(told[0]);
    ASSERT_GT(mappings(runner, "memfd:pocket-"), regions);
    const uint64_t killed_ns = monotonic_ns();
    ::kill(client, SIGKILL);
    ::waitpid(client, nullptr, 0);
    ASSERT_TRUE(eventually([&] {
      return fd_count(runner) == runner_fds && fd_count(service_.pid()) == service_fds &&
             mappings(runner, "memfd:pocket-") == regions &&
             own_bytes(runner) < memory + (uint64_t{1} << 20);
    })) << "round "
        << round << ": descriptors " << fd_count(runner) - runner_fds << " and "
        << fd_count(service_.pid()) - service_fds << " more, bytes " << own_bytes(runner) - memory
        << " more";
    taken_ms.push_back(static_cast<double>(monotonic_ns() - killed_ns) / 1e6);
  }
  std::ranges::sort(taken_ms);
  std::printf("descriptors and 48 MB back after kill -9: median %.1f ms, longest %.1f ms\n",
              taken_ms[2], taken_ms[4]);
}

TEST_F(KillTest, AKilledRunnerFailsItsCallsAndComesBackWhileOthersNoticeNothing) {
  const Session session(to_service());
  const Session other_session(to_service());
  const Model other(other_session, "echo");
  const pid_t others_runner = service_.runners().front();
  std::atomic<bool> stop = false;
  std::atomic<int> served = 0;
  std::jthread neighbour([&] {
    Call call(other);
    while (!stop) {
      call.input<float>(0, {100})[99] = 6;
      const auto outcome = outcome_of([&] { call.run(); });
      ASSERT_THAT(outcome, succeeds());
      ASSERT_EQ(call.output(0).values<float>()[99], 6);
      ++served;
    }
  });
  for (int round = 0; round < 2; ++round) {
    const Model model(session, "hang");
    const auto runners = service_.runners();
    const auto victim =
        std::ranges::find_if(runners, [&](pid_t pid) { return pid != others_runner; });
    ASSERT_NE(victim, runners.end());
    std::vector<Call> calls;
    for (int index = 0; index < 5; ++index) {
      calls.emplace_back(model).input<float>(0, {1});
      calls.back().submit();
    }
    EXPECT_THAT(outcome_of([&] { calls[0].wait(20 * kMillisecond); }),
                fails_with(POCKET_DEADLINE_EXCEEDED));
    ::kill(*victim, SIGKILL);
    for (auto& call : calls) {
      const auto outcome = outcome_of([&] { call.wait(20 * kSecond); });
      EXPECT_THAT(outcome, fails_with(POCKET_UNAVAILABLE, "hang", "try again"));
      EXPECT_EQ(pocket_status_is_retryable(outcome.status), 1);
    }
    // The same call again finds a new runner, once it may start.
    pocket::testing::Outcome again;
    ASSERT_TRUE(eventually([&] {
      again = outcome_of([&] {
        calls[0].input<float>(0, {1});
        calls[0].submit();
      });
      return pocket_status_is_retryable(again.status) == 0;
    }));
    EXPECT_THAT(again, succeeds());
  }
  const int before = served;
  EXPECT_TRUE(eventually([&] { return served > before; }));
  stop = true;
  neighbour.join();
  EXPECT_TRUE(std::ranges::count(service_.runners(), others_runner) == 1);
}

TEST_F(KillTest, AModelThatAlwaysCrashesIsHeldBack) {
  const Session session(to_service());
  const auto crash = [&] {
    return outcome_of([&] {
      const Model model(session, "crash");
      Call call(model);
      call.input<float>(0, {1});
      call.run();
    });
  };
  EXPECT_THAT(crash(), fails_with(POCKET_UNAVAILABLE, "crash"));
  pocket::testing::Outcome held;
  for (int round = 0; round < 10 && held.status != POCKET_BUSY; ++round) held = crash();
  EXPECT_THAT(held, fails_with(POCKET_BUSY, "crashed its runner", "times in a row",
                               "may be opened again in"));
  EXPECT_EQ(pocket_status_is_retryable(held.status), 1);
}

}  // namespace
}  // namespace pocket
