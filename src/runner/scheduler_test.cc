#include "runner/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <new>
#include <string>

#include "ipc/region.h"

namespace pocket::runner {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  // A queued call holds its channel, which holds its calls: as Workers, it is emptied in the end.
  void TearDown() override { pop_all(); }
  Channel& channel(uint32_t id) {
    auto& channel = channels_[id];
    if (channel == nullptr) {
      Channel::Parts parts;
      parts.id = id;
      parts.session = id;  // each a client of its own
      channel = std::make_shared<Channel>(std::move(parts));
      scheduler_.add(*channel);
    }
    return *channel;
  }
  std::unique_ptr<Call> make_call(uint32_t id, uint64_t call_id) {
    auto call = scheduler_.fresh_call();
    channel(id);
    call->channel = channels_[id];
    call->submission.call_id = call_id;
    return call;
  }
  void push(uint32_t id, uint64_t call_id) {
    auto call = make_call(id, call_id);
    Refusal refusal;
    EXPECT_EQ(scheduler_.take_in(call, 0, false, refusal), Scheduler::Taken::kQueued);
  }
  std::unique_ptr<Call> pop() {
    auto call = scheduler_.pop();
    if (call != nullptr) scheduler_.ended(*call, {0, 1000, 1000}, 0);
    return call;
  }
  /// Everything that is left, as "channel:call channel:call ...".
  std::string pop_all() {
    std::string order;
    while (auto call = pop()) {
      order += (order.empty() ? "" : " ") + std::to_string(call->channel->id()) + ":" +
               std::to_string(call->submission.call_id);
      scheduler_.recycle(std::move(call));
    }
    return order;
  }
  Scheduler scheduler_;
  std::map<uint32_t, std::shared_ptr<Channel>> channels_;
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

TEST_F(SchedulerTest, FloodOfOneChannelDelaysAnotherByNoCallThatHasNotStarted) {
  for (uint64_t id = 1; id <= 200; ++id) push(1, id);
  for (int call = 0; call < 50; ++call) EXPECT_EQ(pop()->channel->id(), 1U);
  push(2, 1);
  EXPECT_EQ(pop()->channel->id(), 2U);
}

TEST_F(SchedulerTest, LoneCallNeedNotBeQueued) {
  auto call = make_call(1, 1);
  Refusal refusal;
  EXPECT_EQ(scheduler_.take_in(call, 1, true, refusal), Scheduler::Taken::kStarts);
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(scheduler_.size(), 0U);
  // Another one waits: as many run as may.
  auto next = make_call(1, 2);
  EXPECT_EQ(scheduler_.take_in(next, 1, true, refusal), Scheduler::Taken::kQueued);
  EXPECT_FALSE(scheduler_.ready(1));
  EXPECT_TRUE(scheduler_.ended(*call, {0, 1000, 1000}, 1));
  EXPECT_TRUE(scheduler_.ready(1));
}

TEST_F(SchedulerTest, RemovedCallIsNotRun) {
  push(1, 1);
  push(1, 2);
  push(2, 1);
  auto removed = scheduler_.remove(channel(1), 1);
  ASSERT_NE(removed, nullptr);
  EXPECT_EQ(removed->submission.call_id, 1U);
  EXPECT_EQ(scheduler_.remove(channel(1), 1), nullptr);
  EXPECT_EQ(scheduler_.remove(channel(1), 99), nullptr);
  EXPECT_EQ(scheduler_.remove(channel(9), 1), nullptr);
  EXPECT_EQ(scheduler_.size(), 2U);
  EXPECT_EQ(pop_all(), "1:2 2:1");
}

TEST_F(SchedulerTest, CallThatIsCancelledWhileItRunsIsLeftAloneOnce) {
  push(1, 7);
  auto call = scheduler_.pop();
  bool was_running = false;
  EXPECT_EQ(scheduler_.remove(channel(1), 7, &was_running), nullptr);
  EXPECT_TRUE(was_running);
  EXPECT_EQ(scheduler_.remove(channel(1), 7, &was_running), nullptr);
  EXPECT_FALSE(was_running);
  EXPECT_FALSE(scheduler_.ended(*call, {0, 1000, 1000}, 0));
}

TEST_F(SchedulerTest, ChannelWhoseOnlyCallWasRemovedComesBack) {
  push(1, 1);
  push(2, 1);
  ASSERT_NE(scheduler_.remove(channel(1), 1), nullptr);
  push(1, 2);
  EXPECT_EQ(pop_all(), "2:1 1:2");
}

TEST_F(SchedulerTest, RemovedChannelLeavesNothing) {
  for (uint64_t id = 1; id <= 3; ++id) push(1, id);
  push(2, 1);
  const auto removed = scheduler_.remove_channel(channel(1));
  ASSERT_EQ(removed.size(), 3U);
  EXPECT_EQ(removed[2]->submission.call_id, 3U);
  EXPECT_EQ(scheduler_.size(), 1U);
  EXPECT_TRUE(scheduler_.remove_channel(channel(1)).empty());
  push(1, 4);
  EXPECT_EQ(pop_all(), "2:1 1:4");
}

TEST_F(SchedulerTest, ClosedChannelTakesNothing) {
  auto call = make_call(1, 1);
  channel(1).close(/*tell=*/false);
  Refusal refusal;
  EXPECT_EQ(scheduler_.take_in(call, 1, true, refusal), Scheduler::Taken::kGone);
  EXPECT_NE(call, nullptr);
}

TEST_F(SchedulerTest, UsedCallKeepsNothingOfItsClient) {
  auto call = std::make_unique<Call>();
  Channel::Parts parts;
  parts.id = 1;
  call->channel = std::make_shared<Channel>(std::move(parts));
  call->cancelled.store(true);
  const std::weak_ptr<Channel> channel = call->channel;
  scheduler_.recycle(std::move(call));
  EXPECT_TRUE(channel.expired());
  auto again = scheduler_.fresh_call();
  EXPECT_EQ(again->channel, nullptr);
  EXPECT_FALSE(again->cancelled.load());
}

TEST_F(SchedulerTest, WhereWeightsAreLentWhoLendsMoreIsServedMore) {
  auto region = ipc::create_region("board", wire::kBoardBytes);
  ASSERT_TRUE(region.ok());
  auto mapped = Mapping::map(region->get(), wire::kBoardBytes, MapAccess::kReadWrite);
  ASSERT_TRUE(mapped.ok());
  auto* header = new (mapped->data()) wire::BoardHeader{};
  header->magic = wire::kBoardMagic;
  header->version = wire::kBoardVersion;
  auto* slots = reinterpret_cast<wire::BoardSlot*>(mapped->data() + wire::kBoardSlotsOffset);
  slots[1].lent_cpu.store(600);
  slots[2].lent_cpu.store(200);
  auto bell = ipc::create_doorbell();
  ASSERT_TRUE(bell.ok());
  auto board = Board::map(*region, std::move(*bell));
  ASSERT_TRUE(board.ok()) << board.error().message;
  TenantRules rules;
  rules.lent_weights = true;
  scheduler_.set_rules(0, rules);
  for (uint32_t id = 1; id <= 3; ++id) {  // the third lends nothing
    Channel::Parts parts;
    parts.id = parts.session = id;
    parts.board = *board;
    parts.slot = id;
    channels_[id] = std::make_shared<Channel>(std::move(parts));
    scheduler_.add(*channels_[id]);
    for (uint64_t call = 1; call <= 60; ++call) push(id, call);
  }
  std::map<uint32_t, int> served;
  for (int turn = 0; turn < 60; ++turn) {
    auto call = pop();
    ASSERT_NE(call, nullptr);
    served[call->channel->id()] += 1;
    scheduler_.recycle(std::move(call));
  }
  EXPECT_NEAR(served[1], 44, 3);
  EXPECT_NEAR(served[2], 15, 3);
  EXPECT_GE(served[3], 1) << "the least weight is one";
  EXPECT_LE(served[3], 2);
  while (auto call = pop()) scheduler_.recycle(std::move(call));
}

}  // namespace
}  // namespace pocket::runner
