#include "runner/channel.h"

#include <gtest/gtest.h>

#include "ipc/region.h"

namespace pocket::runner {
namespace {

constexpr uint64_t kBytes = 64 << 10;

class ChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto request = ipc::create_region("test", kBytes);
    auto response = ipc::create_region("test", kBytes);
    ASSERT_TRUE(request.ok() && response.ok());
    ASSERT_TRUE(channel_.add_region(0, *request, kBytes, *response, kBytes).ok());
    auto mapped = Mapping::map(request->get(), kBytes, MapAccess::kReadWrite);
    ASSERT_TRUE(mapped.ok());
    client_ = std::move(*mapped);
  }
  wire::RequestHeader& header() { return *reinterpret_cast<wire::RequestHeader*>(client_.data()); }
  /// Submits so many calls, as a client would.
  void submit(uint64_t calls) {
    auto* slots = reinterpret_cast<wire::Submission*>(client_.data() + wire::kHeaderBytes);
    for (uint64_t call = 0; call < calls; ++call) {
      const uint64_t position = header().submitted.load();
      slots[position % wire::kRingSlots] = wire::Submission{};
      header().submitted.store(position + 1);
    }
  }
  uint64_t take_all() {
    uint64_t count = 0;
    wire::Submission submission;
    while (channel_.take(submission)) ++count;
    return count;
  }
  Channel channel_{Channel::Parts{}};
  Mapping client_;
};

TEST_F(ChannelTest, OnlyAnswersThatWereTakenMakeRoom) {
  submit(wire::kRingSlots);
  EXPECT_EQ(take_all(), wire::kRingSlots);
  submit(2);
  EXPECT_EQ(take_all(), 0U) << "their answers would have no place";
  channel_.complete(wire::Submission{}, Outcome{});
  EXPECT_EQ(take_all(), 0U) << "the client has not taken it yet";
  header().completions_taken.store(1);
  EXPECT_EQ(take_all(), 1U);
  EXPECT_FALSE(channel_.closed());
}

TEST_F(ChannelTest, AnswersThatWereNotGivenCannotBeTaken) {
  submit(3);
  EXPECT_EQ(take_all(), 3U);
  channel_.complete(wire::Submission{}, Outcome{});
  header().completions_taken.store(2);
  submit(1);
  EXPECT_EQ(take_all(), 0U);
  EXPECT_TRUE(channel_.closed());
}

TEST_F(ChannelTest, CountersThatGoBackOrTooFarBreakTheChannel) {
  submit(1);
  header().submitted.store(wire::kRingSlots + 1);
  EXPECT_EQ(take_all(), 0U);
  EXPECT_TRUE(channel_.closed());
}

}  // namespace
}  // namespace pocket::runner
