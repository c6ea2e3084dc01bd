#include "runner/watch.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "ipc/region.h"

namespace pocket::runner {
namespace {

class WatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = ipc::create_region("test-flights", sizeof(wire::FlightBook));
    ASSERT_TRUE(made.ok());
    memory_ = std::move(*made);
    auto mapped = Mapping::map(memory_.get(), sizeof(wire::FlightBook), MapAccess::kReadWrite);
    ASSERT_TRUE(mapped.ok());
    mapping_ = std::move(*mapped);
    book().magic = wire::kFlightMagic;
    book().version = wire::kFlightVersion;
  }
  wire::FlightBook& book() { return *reinterpret_cast<wire::FlightBook*>(mapping_.data()); }
  Result<std::shared_ptr<const Watch>> map(std::set<wire::RequestDigest> refused = {},
                                           std::set<wire::RequestDigest> suspects = {}) {
    return Watch::map(memory_, std::make_shared<Turnstile>(),
                      {5, 1, std::move(refused), std::move(suspects)});
  }
  size_t running() {
    size_t count = 0;
    for (const auto& slot : book().slots) count += slot.running.load() == wire::kFlightRuns;
    return count;
  }
  std::span<const pocket_engine_input> one(float value) {
    value_ = value;
    input_ = {};
    input_.dtype = POCKET_FLOAT32;
    input_.rank = 1;
    input_.shape[0] = 1;
    input_.data = &value_;
    input_.bytes = sizeof(value_);
    return {&input_, 1};
  }
  UniqueFd memory_;
  Mapping mapping_;
  float value_ = 0;
  pocket_engine_input input_{};
};

TEST_F(WatchTest, ACallIsWrittenDownAsLongAsItRuns) {
  auto watch = map();
  ASSERT_TRUE(watch.ok());
  {
    const auto flight = (*watch)->start(9, one(2));
    ASSERT_TRUE(flight.ok());
    ASSERT_EQ(running(), 1U);
    EXPECT_EQ(book().slots[0].model, 5U);
    EXPECT_EQ(book().slots[0].channel, 9U);
    EXPECT_EQ(book().slots[0].digest, digest_of(one(2), 1));
  }
  EXPECT_EQ(running(), 0U);
}

TEST_F(WatchTest, MoreCallsThanSlotsRunAllTheSame) {
  auto watch = map();
  ASSERT_TRUE(watch.ok());
  std::vector<Watch::Flight> flights;
  for (uint32_t number = 0; number < wire::kFlightSlots + 3; ++number) {
    auto flight = (*watch)->start(number, one(2));
    ASSERT_TRUE(flight.ok());
    flights.push_back(std::move(*flight));
  }
  EXPECT_EQ(running(), wire::kFlightSlots);
  flights.clear();
  EXPECT_EQ(running(), 0U);
}

TEST_F(WatchTest, WhatIsQuarantinedDoesNotStart) {
  auto watch = map({digest_of(one(2), 1)});
  ASSERT_TRUE(watch.ok());
  const auto refused = (*watch)->start(9, one(2));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(running(), 0U);
  EXPECT_TRUE((*watch)->start(9, one(3)).ok());
}

TEST_F(WatchTest, ASuspectRunsAlone) {
  auto watch = map({}, {digest_of(one(2), 1)});
  ASSERT_TRUE(watch.ok());
  std::optional<Watch::Flight> other;
  {
    auto started = (*watch)->start(9, one(3));
    ASSERT_TRUE(started.ok());
    other.emplace(std::move(*started));
  }
  // It waits a second for the other, which goes on.
  EXPECT_EQ((*watch)->start(9, one(2)).error().code, POCKET_BUSY);
  EXPECT_EQ(running(), 1U);
  other.reset();
  const auto alone = (*watch)->start(9, one(2));
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(running(), 1U);
}

TEST_F(WatchTest, TheDigestIsOfEverythingTheEngineGets) {
  const auto plain = digest_of(one(2), 1);
  EXPECT_EQ(digest_of(one(2), 1), plain);
  EXPECT_NE(digest_of(one(2), 2), plain) << "the seed";
  EXPECT_NE(digest_of(one(3), 1), plain) << "the contents";
  const auto changed = [&](auto change) {
    (void)one(2);
    change(input_);
    return digest_of({&input_, 1}, 1);
  };
  EXPECT_NE(changed([](auto& input) { input.index = 1; }), plain);
  EXPECT_NE(changed([](auto& input) { input.dtype = POCKET_INT32; }), plain);
  EXPECT_NE(changed([](auto& input) { input.rank = 2, input.shape[1] = 1; }), plain);
  EXPECT_NE(changed([](auto& input) { input.rank = 0; }), plain);
}

TEST_F(WatchTest, AnotherBookIsNotUsed) {
  book().version = 2;
  EXPECT_EQ(map().error().code, POCKET_VERSION_MISMATCH);
}

}  // namespace
}  // namespace pocket::runner
