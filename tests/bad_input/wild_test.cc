// Wild clients beside two that do nothing wrong: those get every answer, and nothing ends.
// POCKET_WILD_SECONDS: for how long (2); POCKET_WILD_SEED: in which order of events.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "base/clock.h"
#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "service.h"
#include "wild_client.h"

namespace pocket {
namespace {

using pocket::testing::eventually;
using pocket::testing::kSecond;
using pocket::testing::outcome_of;
using pocket::testing::service_status;
using pocket::testing::settled_fd_count;
using pocket::testing::succeeds;
using pocket::testing::WildClient;

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Calls until `stop`, each answer looked at; how many there were.
uint64_t behave(const Session& session, const char* name, const std::atomic<bool>& stop) {
  const Model model(session, name);
  Call call(model);
  uint64_t calls = 0;
  for (; !stop; ++calls) {
    const auto value = static_cast<float>(calls);
    const auto input = call.input<float>(0, {static_cast<int64_t>(1 + calls % 5000)});
    std::ranges::fill(input, value);
    call.run(60 * kSecond);
    EXPECT_EQ(call.output(0).values<float>().back(), value);
  }
  return calls;
}

TEST(Wild, ClientsHarmOnlyThemselves) {
  pocket::testing::TestService service;
  service.add_null_model("echo", pocket::testing::kEcho);
  service.add_null_model("busy", std::string("delay_us = 300\n") + pocket::testing::kEcho);
  // Through a socket of their own they are no administrators, who may stop the service.
  const std::string theirs = service.folder() + "/wild.sock";
  const std::string config = service.folder() + "/pocketd.toml";
  pocket::testing::write_file(
      config, "[tenant.wild]\n[[socket]]\npath = '" + theirs + "'\ntenant = 'wild'\n");
  ASSERT_TRUE(service.start({"--config", config})) << service.log();
  const Session session(
      ConnectOptions{.socket = service.socket(), .reconnect = false, .retry = false});
  { const Model echo(session, "echo"), busy(session, "busy"); }
  const auto runners = service.runners();
  ASSERT_EQ(runners.size(), 2U);
  const size_t descriptors = settled_fd_count(service.pid());

  const uint64_t seed = number_from("POCKET_WILD_SEED", std::random_device()());
  std::printf("POCKET_WILD_SEED=%llu\n", static_cast<unsigned long long>(seed));
  const uint64_t end_ns =
      monotonic_ns() + number_from("POCKET_WILD_SECONDS", 2) * kNanosecondsPerSecond;
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> steps = 0, submitted = 0, answered = 0;
  std::vector<std::jthread> wild;
  for (uint64_t number = 0; number < 3; ++number) {
    wild.emplace_back([&, number] {
      WildClient client(theirs, seed + number);
      while (!stop && client.broken_rule().empty()) {
        client.step();
        ++steps;
      }
      EXPECT_EQ(client.broken_rule(), "");
      submitted += client.submitted();
      answered += client.answered();
    });
  }
  std::vector<std::jthread> good;
  std::atomic<uint64_t> calls = 0;
  for (const char* name : {"echo", "busy"}) {
    good.emplace_back([&, name] {
      EXPECT_THAT(outcome_of([&] { calls += behave(session, name, stop); }), succeeds());
    });
  }
  while (monotonic_ns() < end_ns) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  stop = true;
  good.clear();
  wild.clear();
  std::printf("%llu steps, %llu submissions, at least %llu answers; %llu good calls\n",
              static_cast<unsigned long long>(steps.load()),
              static_cast<unsigned long long>(submitted.load()),
              static_cast<unsigned long long>(answered.load()),
              static_cast<unsigned long long>(calls.load()));
  EXPECT_GT(calls, 10U);
  EXPECT_GT(answered, 10U);
  EXPECT_EQ(service.runners(), runners) << "a runner ended";
  EXPECT_TRUE(eventually([&] {
    const auto status = service_status(service.socket());
    return status.ok() && status->sessions.size() <= 2;  // the good one, and who asks
  }));
  EXPECT_TRUE(eventually([&] { return settled_fd_count(service.pid()) <= descriptors; }));
  EXPECT_EQ(service.stop(), 0) << service.log();
  if (::testing::Test::HasFailure()) std::printf("%s", service.log().c_str());
}

}  // namespace
}  // namespace pocket
