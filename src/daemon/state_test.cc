#include "daemon/state.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "ipc/region.h"

namespace pocket::daemon {
namespace {

UniqueFd copy_of(const State& state) {
  return UniqueFd(::fcntl(state.memory(), F_DUPFD_CLOEXEC, 0));
}

std::vector<uint8_t> hello(const std::string& text) { return {text.begin(), text.end()}; }

TEST(StateTest, LiesWhereTheFormatPageSays) {
  static_assert(offsetof(StateHeader, owner) == 16);
  static_assert(offsetof(StateHeader, generation) == 24);
  static_assert(offsetof(StateHeader, next_session) == 32);
  static_assert(offsetof(StateHeader, next_runner) == 56);
  static_assert(offsetof(StateSession, hello) == 16);
  auto state = State::create();
  ASSERT_TRUE(state.ok()) << state.error().message;
  ASSERT_TRUE(state->save(7, hello("Hi")));
  char bytes[12];
  ASSERT_EQ(::pread(state->memory(), bytes, sizeof(bytes), 0), 12);
  EXPECT_EQ(std::string(bytes, 8), "PKDSTATE");
  EXPECT_EQ(bytes[8], 1);
  uint8_t slot[18];
  ASSERT_EQ(::pread(state->memory(), slot, sizeof(slot), 4096), 18);
  EXPECT_EQ(slot[0], 7);
  EXPECT_EQ(slot[8], 2);
  EXPECT_EQ(slot[16], 'H');
}

TEST(StateTest, TheNextOneGoesOnWhereThisOneStopped) {
  auto first = State::create();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->generation(), 1U);
  EXPECT_EQ(first->next_session(), 1U);
  EXPECT_EQ(first->next_channel(), 1U);
  for (uint64_t session = 1; session <= 5; ++session) {
    ASSERT_TRUE(first->save(session, hello("client " + std::to_string(session))));
  }
  first->forget(2);
  first->forget(99);
  auto second = State::adopt(copy_of(*first));
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->generation(), 2U);
  EXPECT_EQ(second->owner(), first->owner());
  EXPECT_EQ(second->next_session(), 2U) << "a number is used twice";
  std::vector<uint64_t> sessions;
  for (const auto& saved : second->sessions()) sessions.push_back(saved.session);
  EXPECT_THAT(sessions, ::testing::ElementsAre(1, 3, 4, 5));
  EXPECT_EQ(second->sessions()[1].hello, hello("client 3"));
  // The free slot is used again, and what comes after it as well.
  ASSERT_TRUE(second->save(6, hello("six")));
  ASSERT_TRUE(second->save(7, hello("seven")));
  auto third = State::adopt(copy_of(*second));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->sessions().size(), 6U);
}

TEST(StateTest, AHelloThatIsTooLongIsNotKept) {
  auto state = State::create();
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->save(1, std::vector<uint8_t>(1008, 1)));
  EXPECT_FALSE(state->save(2, std::vector<uint8_t>(1009, 1)));
  EXPECT_EQ(state->sessions().size(), 1U);
}

TEST(StateTest, SomethingElseIsRefused) {
  auto state = State::create();
  ASSERT_TRUE(state.ok());
  const char version = 2;
  ASSERT_EQ(::pwrite(state->memory(), &version, 1, 8), 1);
  EXPECT_EQ(State::adopt(copy_of(*state)).error().code, POCKET_VERSION_MISMATCH);
  auto small = ipc::create_region("small", 4096);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(State::adopt(std::move(*small)).error().code, POCKET_DATA_LOSS);
}

}  // namespace
}  // namespace pocket::daemon
