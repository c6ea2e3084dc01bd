// Clients that play with their doorbell: whoever does so waits for it, and nobody else.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "ring_client.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::cpu_ns;
using pocket::testing::eventually;
using pocket::testing::RawClient;
using pocket::testing::RingClient;

class DoorbellTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    ASSERT_TRUE(service_.start()) << service_.log();
    session_.emplace(ConnectOptions{.socket = service_.socket(), .reconnect = false});
    model_.emplace(*session_, "echo");
    call_.emplace(*model_);
    others_go_on();
  }
  /// The well-behaved client beside.
  void others_go_on() {
    call_->input<float>(0, {4})[2] = 5;
    call_->run(20 * pocket::testing::kSecond);
    EXPECT_EQ(call_->output(0).values<float>()[2], 5);
  }
  /// The middle one of its calls, each after a pause in which everybody falls asleep; microseconds.
  double usual_us() {
    std::vector<uint64_t> times;
    for (int count = 0; count < 200; ++count) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const uint64_t begin = monotonic_ns();
      others_go_on();
      times.push_back(monotonic_ns() - begin);
    }
    std::ranges::nth_element(times, times.begin() + 100);
    return static_cast<double>(times[100]) / 1000;
  }
  std::unique_ptr<RingClient> ringer() {
    return std::make_unique<RingClient>(std::move(RawClient::greeted(service_.socket())).value());
  }
  pocket::testing::TestService service_;
  std::optional<Session> session_;
  std::optional<Model> model_;
  std::optional<Call> call_;
};

TEST_F(DoorbellTest, WhoRingsWithoutEndIsHeardLessAndLess) {
  const pid_t runner = service_.runners().front();
  const double alone = usual_us();
  const auto client = ringer();
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> rings = 0;
  std::jthread ringing([&] {
    for (; !stop; ++rings) client->ring();
  });
  ASSERT_TRUE(eventually([&] { return rings > 1000; }));
  const uint64_t before = cpu_ns(runner), begin = monotonic_ns(), rung = rings;
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const uint64_t took = monotonic_ns() - begin, used = cpu_ns(runner) - before;
  std::printf("%llu rings cost the runner %.1f %% of a processor\n",
              static_cast<unsigned long long>(rings - rung),
              100 * static_cast<double>(used) / static_cast<double>(took));
  EXPECT_LT(used, took / 10);
  const double beside = usual_us();
  std::printf("a call: %.0f us alone, %.0f us beside it\n", alone, beside);
  // What it submits all the same is taken in, if later.
  client->submit(3);
  EXPECT_TRUE(eventually([&] { return client->answers()->completed.load() == 3; }));
  stop = true;
  ringing.join();
  // Once it has stopped nobody wakes for it.
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  const uint64_t quiet = cpu_ns(runner);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(cpu_ns(runner) - quiet, 5'000'000U);
  client->submit(2);
  EXPECT_TRUE(eventually([&] { return client->answers()->completed.load() == 5; }));
  others_go_on();
}

TEST_F(DoorbellTest, ADoorbellThatMakesItsRingerWaitStopsNobody) {
  // More of them than the runner has threads. A full ring is more than is taken at once.
  std::vector<std::unique_ptr<RingClient>> clients;
  for (int count = 0; count < 6; ++count) {
    clients.push_back(ringer());
    clients.back()->publish(wire::kRingSlots);
    clients.back()->fill_doorbell();
  }
  for (int round = 0; round < 20; ++round) {
    others_go_on();
    for (const auto& client : clients) {
      EXPECT_TRUE(eventually([&] {
        return client->header()->submitted.load() == client->answers()->completed.load();
      }));
      client->header()->completions_taken.store(client->answers()->completed.load());
      client->publish(wire::kRingSlots);
      client->drain_doorbell();
      client->fill_doorbell();
    }
  }
}

}  // namespace
}  // namespace pocket
