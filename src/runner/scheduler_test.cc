#include "runner/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace pocket::runner {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  std::unique_ptr<Call> make_call(uint32_t channel, uint64_t call_id) {
    auto call = scheduler_.fresh_call();
    Channel::Parts parts;
    parts.id = channel;
    call->channel = std::make_shared<Channel>(std::move(parts));
    call->submission.call_id = call_id;
    return call;
  }
  void push(uint32_t channel, uint64_t call_id) { scheduler_.push(make_call(channel, call_id)); }
  /// Everything that is left, as "channel:call channel:call ...".
  std::string pop_all() {
    std::string order;
    while (auto call = scheduler_.pop()) {
      order += (order.empty() ? "" : " ") + std::to_string(call->channel->id()) + ":" +
               std::to_string(call->submission.call_id);
      scheduler_.recycle(std::move(call));
    }
    return order;
  }
  Scheduler scheduler_;
};

TEST_F(SchedulerTest, EmptyHasNothing) {
  EXPECT_EQ(scheduler_.pop(), nullptr);
  EXPECT_EQ(scheduler_.size(), 0U);
}

TEST_F(SchedulerTest, ChannelsTakeTurnsAndEachKeepsItsOrder) {
  for (uint64_t id = 1; id <= 4; ++id) push(1, id);
  push(2, 1);
  push(2, 2);
  push(3, 1);
  EXPECT_EQ(scheduler_.size(), 7U);
  EXPECT_EQ(pop_all(), "1:1 2:1 3:1 1:2 2:2 1:3 1:4");
  EXPECT_EQ(scheduler_.size(), 0U);
}

TEST_F(SchedulerTest, FloodOfOneChannelDelaysAnotherByOneCall) {
  for (uint64_t id = 1; id <= 200; ++id) push(1, id);
  for (int call = 0; call < 50; ++call) EXPECT_EQ(scheduler_.pop()->channel->id(), 1U);
  push(2, 1);
  EXPECT_EQ(scheduler_.pop()->channel->id(), 1U);  // was next already
  EXPECT_EQ(scheduler_.pop()->channel->id(), 2U);
}

TEST_F(SchedulerTest, RemovedCallIsNotRun) {
  push(1, 1);
  push(1, 2);
  push(2, 1);
  auto removed = scheduler_.remove(1, 1);
  ASSERT_NE(removed, nullptr);
  EXPECT_EQ(removed->submission.call_id, 1U);
  EXPECT_EQ(scheduler_.remove(1, 1), nullptr);
  EXPECT_EQ(scheduler_.remove(1, 99), nullptr);
  EXPECT_EQ(scheduler_.remove(99, 1), nullptr);
  EXPECT_EQ(scheduler_.size(), 2U);
  EXPECT_EQ(pop_all(), "1:2 2:1");
}

TEST_F(SchedulerTest, ChannelWhoseOnlyCallWasRemovedComesBack) {
  push(1, 1);
  push(2, 1);
  ASSERT_NE(scheduler_.remove(1, 1), nullptr);
  push(1, 2);
  EXPECT_EQ(pop_all(), "2:1 1:2");
}

TEST_F(SchedulerTest, RemovedChannelLeavesNothing) {
  for (uint64_t id = 1; id <= 3; ++id) push(1, id);
  push(2, 1);
  const auto removed = scheduler_.remove_channel(1);
  ASSERT_EQ(removed.size(), 3U);
  EXPECT_EQ(removed[2]->submission.call_id, 3U);
  EXPECT_EQ(scheduler_.size(), 1U);
  EXPECT_TRUE(scheduler_.remove_channel(1).empty());
  push(1, 4);
  EXPECT_EQ(pop_all(), "2:1 1:4");
}

TEST_F(SchedulerTest, UsedCallKeepsNothingOfItsClient) {
  auto call = make_call(1, 1);
  call->cancelled.store(true);
  const std::weak_ptr<Channel> channel = call->channel;
  scheduler_.recycle(std::move(call));
  EXPECT_TRUE(channel.expired());
  auto again = scheduler_.fresh_call();
  EXPECT_EQ(again->channel, nullptr);
  EXPECT_FALSE(again->cancelled.load());
}

}  // namespace
}  // namespace pocket::runner
