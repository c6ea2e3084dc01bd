// The scheduler in a world with a clock of its own: clients, tenants and models of any kind, and
// what each got.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/plugin.h"
#include "runner/scheduler.h"

namespace pocket::runner {
namespace {

constexpr uint64_t kMs = 1'000'000;

uint64_t now_ns = kMs;  // the world's clock
uint64_t world_clock() { return now_ns; }

/// Jain's index: 1 when all are equal, 1/n when one has everything.
double jain(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (double value : values) {
    sum += value;
    squares += value * value;
  }
  return sum * sum / (static_cast<double>(values.size()) * squares);
}

class TemporaryModel {
 public:
  TemporaryModel() {
    std::ofstream(path()) << "mode = 'none'\n[[inputs]]\nname = 'x'\nshape = [1]\n"
                             "[[outputs]]\nname = 'y'\nshape = [1]\n";
  }
  ~TemporaryModel() { std::filesystem::remove(path()); }
  static std::string path() {
    return std::filesystem::temp_directory_path() / fmt::format("fairness-{}.null", ::getpid());
  }
};

struct Client {
  std::shared_ptr<Channel> channel;
  uint64_t call_ns = kMs;  // of processor time and of the clock, while nothing else runs
  uint32_t in_flight = 1;  // kept by itself: as one ends the next one comes
  uint64_t next_call = 1;
  double used_ns = 0;
  uint64_t served = 0;
  uint64_t longest_wait_ns = 0;
};

/// `threads` calls at once, each as fast as the clock.
class World {
 public:
  explicit World(uint32_t threads, bool hurries = false)
      : threads_(threads), hurries_(hurries), scheduler_(world_clock) {
    now_ns = kMs;
  }

  Client& add(uint32_t tenant, uint32_t weight, uint64_t call_ns, uint32_t in_flight,
              std::shared_ptr<RunnerModel> model = nullptr, uint64_t session = 0) {
    Channel::Parts parts;
    parts.id = ++ids_;
    parts.session = session == 0 ? parts.id : session;
    parts.tenant = tenant;
    scheduler_.set_rules(tenant, {std::to_string(tenant), weight, priority_, 0, 0, 0});
    parts.model = model == nullptr ? make_model() : std::move(model);
    auto client = std::make_unique<Client>();
    client->channel = std::make_shared<Channel>(std::move(parts));
    scheduler_.add(*client->channel);
    client->call_ns = call_ns;
    client->in_flight = in_flight;
    by_channel_[ids_] = client.get();
    clients_.push_back(std::move(client));
    for (uint32_t call = 0; call < in_flight; ++call) submit(*clients_.back());
    return *clients_.back();
  }

  static std::shared_ptr<RunnerModel> make_model(uint32_t threads = 1) {
    static const TemporaryModel file;
    // Never run: only its turns count here.
    auto plugin = engine::Plugin::load(ENGINE_DIR, "null");
    EXPECT_TRUE(plugin.ok());
    auto model = engine::Model::load(*plugin, {file.path(), 1, 1, {}});
    EXPECT_TRUE(model.ok());
    return std::make_shared<RunnerModel>(std::move(*model), threads, threads);
  }

  void submit(Client& client) {
    auto call = scheduler_.fresh_call();
    call->channel = client.channel;
    call->submission.call_id = client.next_call++;
    call->seen_ns = now_ns;
    Refusal refusal;
    const auto taken = scheduler_.take_in(call, threads_, true, refusal);
    if (taken == Scheduler::Taken::kStarts) {
      start(std::move(call));
    } else {
      EXPECT_EQ(taken, Scheduler::Taken::kQueued) << refusal.message;
      hurry();
    }
  }

  void run(uint64_t ns) {
    const uint64_t end = now_ns + ns;
    while (now_ns < end) {
      while (auto call = scheduler_.pop(threads_)) start(std::move(call));
      hurry();
      most_running_ = std::max(most_running_, running_.size());
      const auto first =
          std::min_element(running_.begin(), running_.end(),
                           [](const auto& a, const auto& b) { return a.ends_ns < b.ends_ns; });
      if (first == running_.end()) return;
      // Who waits looks again after a while.
      const int patience = scheduler_.patience_ms();
      const uint64_t look_ns = patience < 0 ? UINT64_MAX : now_ns + patience * kMs;
      if (look_ns < first->ends_ns) {
        now_ns = look_ns;
        continue;
      }
      now_ns = first->ends_ns;
      auto call = std::move(first->call);
      running_.erase(first);
      Client& client = *by_channel_.at(call->channel->id());
      const Usage usage{0, client.call_ns, client.call_ns};
      scheduler_.ended(*call, usage, threads_);
      scheduler_.record(*call, usage);
      client.used_ns += static_cast<double>(client.call_ns);
      client.served += 1;
      scheduler_.recycle(std::move(call));
      submit(client);
    }
  }

  /// From here on, as if nothing had been before.
  void forget_past() {
    most_running_ = running_.size();
    for (auto& client : clients_) client->used_ns = 0, client->served = 0;
  }
  std::vector<double> used() const {
    std::vector<double> values;
    for (const auto& client : clients_) values.push_back(client->used_ns);
    return values;
  }
  /// Of tenants that are added from here on.
  void set_priority(uint32_t priority) { priority_ = priority; }
  size_t most_running() const { return most_running_; }
  Scheduler& scheduler() { return scheduler_; }

 private:
  struct Running {
    std::unique_ptr<Call> call;
    uint64_t ends_ns;
  };
  void hurry() {
    if (!hurries_) return;
    if (auto call = scheduler_.pop_hurried(threads_)) start(std::move(call));
  }
  void start(std::unique_ptr<Call> call) {
    Client& client = *by_channel_.at(call->channel->id());
    client.longest_wait_ns = std::max(client.longest_wait_ns, now_ns - call->seen_ns);
    running_.push_back({std::move(call), now_ns + client.call_ns});
  }

  const uint32_t threads_;
  const bool hurries_;
  Scheduler scheduler_;
  uint32_t ids_ = 0;
  uint32_t priority_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<uint32_t, Client*> by_channel_;
  std::vector<Running> running_;
  size_t most_running_ = 0;
};

TEST(Fairness, EqualClientsGetEqualTimeWhateverTheirCallsTakeAndHoweverManyTheyHave) {
  World world(1);
  world.add(0, 100, 1 * kMs, 64);
  world.add(0, 100, 7 * kMs, 1);
  world.add(0, 100, 20 * kMs, 8);
  world.add(0, 100, 3 * kMs, 200);
  world.run(10'000 * kMs);
  EXPECT_GE(jain(world.used()), 0.99);
}

TEST(Fairness, WeightsAreHonoured) {
  World world(1);
  world.add(1, 100, 4 * kMs, 16);
  world.add(2, 200, 5 * kMs, 16);
  world.add(4, 400, 3 * kMs, 16);
  world.run(20'000 * kMs);
  const auto used = world.used();
  EXPECT_NEAR(used[1] / used[0], 2, 0.05);
  EXPECT_NEAR(used[2] / used[0], 4, 0.1);
}

TEST(Fairness, TenantsComeBeforeTheirClients) {
  World world(2);
  for (int client = 0; client < 9; ++client) world.add(1, 100, 2 * kMs, 4);
  world.add(2, 100, 2 * kMs, 4);
  world.run(10'000 * kMs);
  const auto used = world.used();
  double many = 0;
  for (int client = 0; client < 9; ++client) many += used[static_cast<size_t>(client)];
  EXPECT_NEAR(used[9] / many, 1, 0.05);
  EXPECT_GE(jain({used.begin(), used.begin() + 9}), 0.99);
}

TEST(Fairness, SeveralChannelsOfOneClientAreOneClient) {
  World world(1);
  for (int channel = 0; channel < 5; ++channel) world.add(0, 100, kMs, 8, nullptr, /*session=*/77);
  world.add(0, 100, kMs, 8);
  world.run(5'000 * kMs);
  const auto used = world.used();
  double many = 0;
  for (int channel = 0; channel < 5; ++channel) many += used[static_cast<size_t>(channel)];
  EXPECT_NEAR(used[5] / many, 1, 0.05);
}

TEST(Fairness, NobodySavesUpTurnsWhileAway) {
  World world(1);
  Client& steady = world.add(0, 100, 2 * kMs, 4);
  world.run(10'000 * kMs);
  Client& late = world.add(0, 100, 2 * kMs, 4);
  world.forget_past();
  world.run(1'000 * kMs);
  EXPECT_NEAR(late.used_ns / steady.used_ns, 1, 0.05);
}

TEST(Fairness, CheapCallsOfAHeavyModelAreChargedWhatTheyTake) {
  // One client's calls take ten times what the other's take, on the same model: what is charged
  // beforehand is right for neither, and is corrected.
  World world(1);
  const auto model = World::make_model();
  world.add(0, 100, 10 * kMs, 8, model);
  world.add(0, 100, 1 * kMs, 8, model);
  world.run(10'000 * kMs);
  EXPECT_GE(jain(world.used()), 0.99);
}

TEST(Fairness, FloodDelaysALoneCallByNoMoreThanOneCall) {
  for (const uint32_t threads : {1U, 2U, 4U}) {
    World world(threads);
    const auto model = World::make_model(threads);
    world.add(0, 100, 5 * kMs, 64, model);
    Client& victim = world.add(0, 100, 5 * kMs, 1, model);
    world.run(5'000 * kMs);
    EXPECT_GT(victim.served, 100U);
    EXPECT_LE(victim.longest_wait_ns, 5 * kMs) << threads;
  }
}

TEST(Fairness, WhoHurriesDoesNotWaitForAFloodOfTheSameCalls) {
  for (const uint32_t threads : {1U, 2U, 4U}) {
    World world(threads, /*hurries=*/true);
    const auto model = World::make_model(threads);
    Client& flood = world.add(0, 100, 5 * kMs, 64, model);
    Client& victim = world.add(0, 100, 5 * kMs, 1, model);
    world.run(100 * kMs);  // how long they take is known by now
    world.forget_past();
    victim.longest_wait_ns = 0;
    world.run(5'000 * kMs);
    EXPECT_LE(world.most_running(), threads + 1);
    EXPECT_GT(victim.served, 490U) << threads;
    EXPECT_GT(flood.served, 490U) << threads;
    // With one thread it has its half of it already, and must wait for its turn.
    if (threads > 1) {
      EXPECT_EQ(victim.longest_wait_ns, 0U) << threads;
    }
  }
}

TEST(Fairness, CallsThatAreOverAtOnceDoNotHurry) {
  World world(2, /*hurries=*/true);
  const auto model = World::make_model(2);
  world.add(0, 100, kMs / 20, 64, model);
  world.add(0, 100, kMs / 20, 1, model);
  world.run(10 * kMs);  // how long they take is known by now
  world.forget_past();
  world.run(100 * kMs);
  EXPECT_EQ(world.most_running(), 2U);
}

TEST(Fairness, LongModelDoesNotBlockAShortOne) {
  for (const uint32_t threads : {1U, 2U}) {
    World world(threads);
    const auto longer = World::make_model(threads);
    Client& slow = world.add(0, 100, 1'000 * kMs, 8, longer);
    Client& quick = world.add(0, 100, 1 * kMs, 1);
    world.run(20'000 * kMs);
    // The long ones are known by now.
    quick.longest_wait_ns = 0;
    world.run(20'000 * kMs);
    EXPECT_LE(quick.longest_wait_ns, 2 * kMs) << threads;
    EXPECT_GT(slow.served, 10U);
    EXPECT_LE(world.most_running(), threads + 1);
  }
}

TEST(Fairness, HigherPriorityComesFirst) {
  World world(1);
  world.add(1, 100, 2 * kMs, 4);
  world.set_priority(5);
  Client& urgent = world.add(2, 1, 2 * kMs, 2);
  world.run(100 * kMs);
  world.forget_past();
  world.run(1'000 * kMs);
  EXPECT_EQ(world.used()[0], 0);
  EXPECT_GE(urgent.used_ns, 990 * kMs);
}

TEST(Fairness, HungModelHoldsUpNobodyElse) {
  World world(1);
  Client& hung = world.add(0, 100, 1'000'000 * kMs, 4);
  Client& other = world.add(0, 100, 2 * kMs, 4);
  world.run(1'000 * kMs);
  EXPECT_EQ(hung.served, 0U);
  EXPECT_GT(other.served, 400U);
}

TEST(Fairness, AnyMixOfClientsIsServedByWeight) {
  std::mt19937 random(20260727);
  const auto pick = [&random](uint32_t least, uint32_t most) {
    return std::uniform_int_distribution<uint32_t>(least, most)(random);
  };
  for (int round = 0; round < 60; ++round) {
    const uint32_t threads = pick(1, 4);
    World world(threads);
    const uint32_t tenants = pick(2, 6);
    std::vector<double> weights;
    for (uint32_t tenant = 0; tenant < tenants; ++tenant) {
      weights.push_back(pick(50, 200));
      // Enough in flight that each could use all there is.
      const uint32_t clients = pick(1, 3);
      for (uint32_t client = 0; client < clients; ++client) {
        world.add(tenant, static_cast<uint32_t>(weights.back()), pick(1, 9) * kMs,
                  pick(threads + 1, 40), World::make_model(threads));
      }
    }
    world.run(500 * kMs);
    world.forget_past();
    world.run(20'000 * kMs);
    std::map<uint32_t, double> by_tenant;
    world.scheduler().look_at_clients([&](uint32_t tenant, uint64_t, const Flow& flow) {
      by_tenant[tenant] += static_cast<double>(flow.stats.cpu_ns);
    });
    std::vector<double> shares;
    for (uint32_t tenant = 0; tenant < tenants; ++tenant) {
      shares.push_back(by_tenant[tenant] / weights[tenant]);
    }
    EXPECT_GE(jain(shares), 0.99) << "round " << round << " threads " << threads;
    EXPECT_LE(world.most_running(), threads + 1);
  }
}

}  // namespace
}  // namespace pocket::runner
