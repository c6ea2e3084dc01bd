#include "daemon/quarantine.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace pocket::daemon {
namespace {

constexpr uint64_t kStart = 1'000 * kNanosecondsPerSecond;
const Quarantine::Copy kCopy{"key", "model", "1"};

Quarantine::Suspect suspect(uint64_t number, const std::string& client = "a client") {
  return {client, {number, 0}};
}

TEST(Quarantine, ARequestThatIsThereAloneAfterACrashBeforeIsRefused) {
  Quarantine quarantine;
  EXPECT_FALSE(quarantine.watches("key", kStart));
  EXPECT_FALSE(quarantine.crashed(kCopy, false, {}, false, kStart));
  EXPECT_TRUE(quarantine.watches("key", kStart));
  EXPECT_FALSE(quarantine.watches("other", kStart));
  const auto found = quarantine.crashed(kCopy, true, {suspect(7)}, true, kStart + 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, suspect(7).digest);
  EXPECT_EQ(found->client, "a client");
  EXPECT_EQ(quarantine.refused("key"), std::vector{suspect(7).digest});
  const auto listed = quarantine.list(kStart + 2 * kNanosecondsPerSecond);
  ASSERT_EQ(listed.requests.size(), 1U);
  EXPECT_EQ(listed.requests[0]->model, "model");
  EXPECT_EQ(listed.requests[0]->client, "a client");
  EXPECT_EQ(listed.requests[0]->digest, "00000000000000000000000000000007");
  EXPECT_NEAR(listed.requests[0]->age_s, 2, 0.1);
}

TEST(Quarantine, WhoWasBesideOthersIsNotAccusedButRunsAlone) {
  Quarantine quarantine;
  quarantine.crashed(kCopy, false, {}, false, kStart);
  // A client that sends the same request (1) again and again, beside one that ends the runner (2,
  // 3).
  EXPECT_FALSE(quarantine.crashed(kCopy, true, {suspect(1), suspect(2)}, false, kStart + 1));
  EXPECT_FALSE(quarantine.crashed(kCopy, true, {suspect(1), suspect(3)}, false, kStart + 2));
  EXPECT_TRUE(quarantine.refused("key").empty());
  EXPECT_EQ(quarantine.suspected("key").size(), 3U);
  const auto found = quarantine.crashed(kCopy, true, {suspect(3)}, true, kStart + 3);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, suspect(3).digest);
  EXPECT_EQ(quarantine.suspected("key"), (std::vector{suspect(1).digest, suspect(2).digest}));
}

TEST(Quarantine, ModelsBesideTheCulpritAreNotAccused) {
  Quarantine quarantine;
  EXPECT_FALSE(quarantine.crashed(kCopy, true, {}, false, kStart));
  EXPECT_FALSE(quarantine.watches("key", kStart));
}

TEST(Quarantine, WatchingEndsUnlessARequestIsRefused) {
  Quarantine quarantine;
  quarantine.crashed(kCopy, false, {}, false, kStart);
  const uint64_t later = kStart + Quarantine::kWatchNs + 1;
  EXPECT_FALSE(quarantine.watches("key", later));
  // A crash long after the last one is a first one again: nobody is accused of it.
  EXPECT_FALSE(quarantine.crashed(kCopy, true, {suspect(1)}, true, later));
  EXPECT_TRUE(quarantine.crashed(kCopy, true, {suspect(1)}, true, later + 1));
  EXPECT_TRUE(quarantine.watches("key", later + 2 * Quarantine::kWatchNs));
}

TEST(Quarantine, AClientWithOneSuchRequestAfterAnotherIsKeptAway) {
  Quarantine quarantine;
  uint64_t now = kStart;
  quarantine.crashed(kCopy, false, {}, false, now);
  for (uint32_t number = 1; number <= Quarantine::kMostCrashes; ++number) {
    EXPECT_EQ(quarantine.barred_ns("bad", "key", now), 0U);
    quarantine.crashed(kCopy, true, {suspect(number, "bad")}, true, ++now);
  }
  EXPECT_EQ(quarantine.barred_ns("bad", "key", now), Quarantine::kBarNs);
  EXPECT_EQ(quarantine.barred_ns("bad", "another", now), 0U);
  EXPECT_EQ(quarantine.barred_ns("good", "key", now), 0U);
  EXPECT_EQ(quarantine.barred_ns("bad", "key", now + Quarantine::kBarNs), 0U);
}

TEST(Quarantine, IsClearedByName) {
  Quarantine quarantine;
  for (int crash = 0; crash < 3; ++crash) {
    quarantine.crashed(kCopy, crash > 0, {suspect(1)}, true, kStart + 1);
    quarantine.crashed({"second", "other", "1"}, crash > 0, {suspect(1)}, true, kStart + 1);
  }
  EXPECT_EQ(quarantine.clear("nothing"), std::vector<std::string>{});
  EXPECT_EQ(quarantine.clear("model"), std::vector<std::string>{"key"});
  EXPECT_EQ(quarantine.clear(""), std::vector<std::string>{"second"});
  EXPECT_TRUE(quarantine.list(kStart).requests.empty());
}

TEST(Quarantine, TheNextPocketdGoesOnWithIt) {
  Quarantine first;
  first.crashed(kCopy, false, {}, false, kStart);
  first.crashed(kCopy, true, {suspect(1), suspect(2)}, false, kStart + 1);
  uint64_t now = kStart + 1;
  for (uint32_t number = 7; number < 7 + Quarantine::kMostCrashes; ++number) {
    first.crashed(kCopy, true, {suspect(number, "bad")}, true, ++now);
  }
  const auto message = wire::decode_message(wire::encode_message(0, first.keep()));
  ASSERT_TRUE(message.ok()) << message.error().message;
  Quarantine second;
  second.restore(*message->body.AsKeptQuarantine());
  EXPECT_EQ(second.seed(), first.seed());
  EXPECT_EQ(second.refused("key"), first.refused("key"));
  EXPECT_EQ(second.suspected("key"), first.suspected("key"));
  EXPECT_EQ(second.barred_ns("bad", "key", now), Quarantine::kBarNs);
  EXPECT_TRUE(second.watches("key", now));
  EXPECT_EQ(second.list(now).requests.size(), Quarantine::kMostCrashes);
  // Of one that was suspected it takes no further crash to tell.
  EXPECT_TRUE(second.crashed(kCopy, true, {suspect(1)}, true, now + 1));
}

TEST(Quarantine, OfManyModelsThoseThatCrashedLastAreKept) {
  Quarantine quarantine;
  constexpr uint64_t kModels = 2 * Quarantine::kMostKept / Quarantine::kMostRequests;
  for (uint64_t model = 0; model < kModels; ++model) {
    const std::string key = std::to_string(model);
    for (uint64_t number = 0; number < Quarantine::kMostRequests; ++number) {
      quarantine.crashed({key, key, "1"}, true, {suspect(number)}, false, kStart + model);
    }
  }
  const auto kept = quarantine.keep();
  EXPECT_EQ(kept.histories.size(), kModels / 2);
  EXPECT_EQ(kept.histories.front()->key, std::to_string(kModels - 1));
  EXPECT_TRUE(wire::decode_message(wire::encode_message(0, quarantine.keep())).ok());
}

TEST(Quarantine, RemembersNoMoreThanItMay) {
  Quarantine quarantine;
  for (uint64_t number = 0; number < 2 * Quarantine::kMostRequests; ++number) {
    quarantine.crashed(kCopy, true, {suspect(number, std::to_string(number))}, true,
                       kStart + number);
  }
  EXPECT_EQ(quarantine.refused("key").size(), Quarantine::kMostRequests);
  EXPECT_EQ(quarantine.refused("key").back().low, 2 * Quarantine::kMostRequests - 1);
}

}  // namespace
}  // namespace pocket::daemon
