#include "wire/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "base/checked.h"

namespace pocket::wire {
namespace {

using ::testing::HasSubstr;

/// One call with two float inputs and one output, valid until a test changes something.
class ValidateTest : public ::testing::Test {
 protected:
  ValidateTest() {
    sizes_.request[0] = 1 << 20;
    sizes_.response[0] = 1 << 20;
    sizes_.request[1] = 1 << 16;
    submission_.call_id = 1;
    submission_.opcode = Opcode::kRun;
    submission_.block_offset = kArenaOffset;
    submission_.deadline_ns = UINT64_MAX;
    submission_.table_offset = kArenaOffset;
    submission_.table_bytes = 4096;
    inputs_ = {float_input(0, 0, kArenaOffset + 8192), float_input(1, 1, 0)};
    TensorRecord output{};
    output.offset = kArenaOffset + 4096;
    output.bytes = 64;
    outputs_ = {output};
  }

  static TensorRecord float_input(uint32_t index, uint32_t region, uint64_t offset) {
    TensorRecord record{};
    record.index = index;
    record.dtype = POCKET_FLOAT32;
    record.rank = 2;
    record.shape[0] = 2;
    record.shape[1] = 4;
    record.region = region;
    record.offset = offset;
    record.bytes = 32;
    return record;
  }

  std::vector<std::byte> block() {
    CallBlock head{};
    head.input_count = static_cast<uint32_t>(inputs_.size());
    head.output_count = static_cast<uint32_t>(outputs_.size());
    std::vector<std::byte> bytes(sizeof(head) +
                                 (inputs_.size() + outputs_.size()) * sizeof(TensorRecord));
    auto* at = bytes.data();
    std::memcpy(at, &head, sizeof(head));
    at += sizeof(head);
    for (const auto* list : {&inputs_, &outputs_}) {
      if (list->empty()) continue;
      std::memcpy(at, list->data(), list->size() * sizeof(TensorRecord));
      at += list->size() * sizeof(TensorRecord);
    }
    submission_.block_bytes = static_cast<uint32_t>(bytes.size());
    return bytes;
  }

  /// Empty when accepted, else the message.
  std::string verdict() {
    const auto bytes = block();
    if (auto result = check_submission(submission_, sizes_); !result.ok()) {
      EXPECT_EQ(result.error().code, POCKET_INVALID_ARGUMENT);
      return result.error().message;
    }
    auto view = check_block(bytes, submission_, sizes_);
    if (view.ok()) return "";
    EXPECT_EQ(view.error().code, POCKET_INVALID_ARGUMENT);
    return view.error().message;
  }

  std::string submission_verdict() {
    auto result = check_submission(submission_, sizes_);
    return result.ok() ? "" : result.error().message;
  }

  RegionSizes sizes_;
  Submission submission_{};
  std::vector<TensorRecord> inputs_;
  std::vector<TensorRecord> outputs_;
};

TEST_F(ValidateTest, AcceptsAGoodCall) { EXPECT_EQ(verdict(), ""); }

TEST_F(ValidateTest, AcceptsCallsWithoutTensors) {
  inputs_.clear();
  outputs_.clear();
  EXPECT_EQ(verdict(), "");
}

TEST_F(ValidateTest, AcceptsEmptyTensorsAndNoRoom) {
  inputs_[0].shape[0] = 0;
  inputs_[0].bytes = 0;
  outputs_[0].bytes = 0;
  outputs_[0].offset = 7;  // not looked at without a capacity
  EXPECT_EQ(verdict(), "");
}

TEST_F(ValidateTest, HandlesHaveNoPlace) {
  inputs_[0] = TensorRecord{};
  inputs_[0].flags = kTensorByHandle;
  inputs_[0].region = 99;
  outputs_[0].flags = kTensorByHandle;
  outputs_[0].region = 99;
  EXPECT_EQ(verdict(), "");
}

TEST_F(ValidateTest, RefusesSubmissionFields) {
  block();
  const Submission good = submission_;
  const auto refused = [&](auto change, const char* words) {
    submission_ = good;
    change(submission_);
    EXPECT_THAT(submission_verdict(), HasSubstr(words));
  };
  refused([](auto& s) { s.flags = 1; }, "flags");
  refused([](auto& s) { s.opcode = static_cast<Opcode>(0); }, "opcode 0");
  refused([](auto& s) { s.opcode = static_cast<Opcode>(4); }, "opcode 4");
  refused([](auto& s) { s.block_bytes = 63; }, "block of 63");
  refused([](auto& s) { s.block_bytes = kMaxBlockBytes + 1; }, "block of");
  refused([](auto& s) { s.block_offset += 4; }, "not aligned");
  refused([](auto& s) { s.block_offset = 4096; }, "outside the request arena");
  refused([](auto& s) { s.block_offset = (1 << 20) - 64; }, "outside the request arena");
  refused([](auto& s) { s.block_offset = UINT64_MAX - 63; }, "outside the request arena");
  refused([](auto& s) { s.block_region = 2; }, "outside the request arena");
  refused([](auto& s) { s.block_region = UINT32_MAX; }, "outside the request arena");
  refused([](auto& s) { s.table_offset = 64; }, "result table");
  refused([](auto& s) { s.table_offset += 4; }, "result table");
  refused([](auto& s) { s.table_region = 1; }, "result table");
  refused([](auto& s) { s.table_bytes = UINT32_MAX; }, "result table");
}

TEST_F(ValidateTest, OtherOpcodesNeedNoBlock) {
  submission_ = Submission{};
  submission_.opcode = Opcode::kCancel;
  EXPECT_EQ(submission_verdict(), "");
  submission_.opcode = Opcode::kReleaseHandle;
  EXPECT_EQ(submission_verdict(), "");
}

TEST_F(ValidateTest, RefusesBlocksWhoseCountsLie) {
  auto bytes = block();
  CallBlock head{};
  for (const auto& [in, out] : std::vector<std::pair<uint32_t, uint32_t>>{
           {65, 0}, {0, 65}, {UINT32_MAX, 1}, {UINT32_MAX, UINT32_MAX}, {1, 1}, {3, 1}, {0, 0}}) {
    head.input_count = in;
    head.output_count = out;
    std::memcpy(bytes.data(), &head, sizeof(head));
    EXPECT_FALSE(check_block(bytes, submission_, sizes_).ok()) << in << " " << out;
  }
  EXPECT_FALSE(check_block({bytes.data(), 32}, submission_, sizes_).ok());
}

TEST_F(ValidateTest, RefusesATableThatCannotHoldTheOutputs) {
  submission_.table_bytes = 127;
  EXPECT_THAT(verdict(), HasSubstr("does not hold 1 outputs"));
  submission_.table_bytes = 0;
  EXPECT_THAT(verdict(), HasSubstr("does not hold 1 outputs"));
}

TEST_F(ValidateTest, RefusesInputFields) {
  const TensorRecord good = inputs_[0];
  const auto refused = [&](auto change, const char* words) {
    inputs_[0] = good;
    change(inputs_[0]);
    EXPECT_THAT(verdict(), HasSubstr(words));
  };
  refused([](auto& t) { t.flags = 2; }, "unknown flags");
  refused([](auto& t) { t.rank = -1; }, "rank -1");
  refused([](auto& t) { t.rank = 9; }, "rank 9");
  refused([](auto& t) { t.rank = INT32_MIN; }, "rank");
  refused([](auto& t) { t.shape[1] = -4; }, "negative");
  refused([](auto& t) { t.shape[0] = t.shape[1] = INT64_MAX; }, "overflows");
  refused([](auto& t) { t.dtype = 0; }, "dtype 0");
  refused([](auto& t) { t.dtype = 17; }, "dtype 17");
  refused([](auto& t) { t.dtype = -1; }, "dtype -1");
  refused([](auto& t) { t.bytes = 31; }, "31 bytes given, dtype and shape need 32");
  refused([](auto& t) { t.offset += 32; }, "not a multiple of 64");
  refused([](auto& t) { t.offset = 0; }, "outside its arena");
  refused([](auto& t) { t.offset = 1 << 20; }, "outside its arena");
  refused([](auto& t) { t.offset = UINT64_MAX - 63; }, "outside its arena");
  refused([](auto& t) { t.region = 3; }, "outside its arena");
  refused([](auto& t) { t.region = 16; }, "outside its arena");
}

TEST_F(ValidateTest, RefusesStringsWithoutRoomForOffsets) {
  inputs_[0].dtype = POCKET_STRING;
  inputs_[0].bytes = 9 * 8;
  EXPECT_EQ(verdict(), "");
  inputs_[0].bytes = 9 * 8 - 1;
  EXPECT_THAT(verdict(), HasSubstr("string offsets"));
  inputs_[0].shape[0] = INT64_MAX;
  inputs_[0].shape[1] = 1;
  EXPECT_THAT(verdict(), HasSubstr("string offsets"));
}

TEST_F(ValidateTest, RefusesOutputFields) {
  const TensorRecord good = outputs_[0];
  const auto refused = [&](auto change, const char* words) {
    outputs_[0] = good;
    change(outputs_[0]);
    EXPECT_THAT(verdict(), HasSubstr(words));
  };
  refused([](auto& t) { t.flags = 0x80000000; }, "unknown flags");
  refused([](auto& t) { t.offset += 1; }, "not a multiple");
  refused([](auto& t) { t.offset = 4096; }, "outside its arena");  // the completion ring
  refused([](auto& t) { t.bytes = UINT64_MAX; }, "outside its arena");
  refused([](auto& t) { t.region = 1; }, "outside its arena");
}

// The example of docs/format-tensor.md: "ab", "", "c".
TEST(CheckStrings, DocumentedExample) {
  constexpr std::array<uint8_t, 35> kBytes = {0, 0, 0, 0, 0, 0, 0, 0, 2,   0,   0,  0,
                                              0, 0, 0, 0, 2, 0, 0, 0, 0,   0,   0,  0,
                                              3, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c'};
  EXPECT_TRUE(check_strings(std::as_bytes(std::span(kBytes)), 3).ok());
  EXPECT_FALSE(check_strings(std::as_bytes(std::span(kBytes)).first(34), 3).ok());
  EXPECT_FALSE(check_strings(std::as_bytes(std::span(kBytes)), 5).ok());
}

TEST(CheckStrings, Rules) {
  const auto tensor = [](std::vector<uint64_t> offsets, size_t text) {
    std::vector<std::byte> bytes(offsets.size() * 8 + text);
    std::memcpy(bytes.data(), offsets.data(), offsets.size() * 8);
    return bytes;
  };
  EXPECT_TRUE(check_strings(tensor({0}, 0), 0).ok());
  EXPECT_TRUE(check_strings(tensor({0, 2, 2, 5}, 5), 3).ok());
  EXPECT_TRUE(check_strings(tensor({0, 5}, 9), 1).ok());
  EXPECT_FALSE(check_strings(tensor({1, 2}, 5), 1).ok());
  EXPECT_FALSE(check_strings(tensor({0, 3, 2}, 5), 2).ok());
  EXPECT_FALSE(check_strings(tensor({0, 6}, 5), 1).ok());
  EXPECT_FALSE(check_strings(tensor({0, UINT64_MAX, 1}, 5), 2).ok());
  EXPECT_FALSE(check_strings({}, 0).ok());
  EXPECT_FALSE(check_strings(tensor({0, 0}, 0), UINT64_MAX).ok());
  EXPECT_FALSE(check_strings(tensor({0, 0}, 0), UINT64_MAX / 8).ok());
}

TEST(RingChecks, CountersThatLie) {
  EXPECT_EQ(check_produced(256, 0), RingCheck::kFine);
  EXPECT_EQ(check_produced(257, 0), RingCheck::kImpossible);
  EXPECT_EQ(check_produced(4, 5), RingCheck::kImpossible);
  EXPECT_EQ(check_produced(3, UINT64_MAX - 3), RingCheck::kFine);  // wraps round
  EXPECT_EQ(check_consumed(5, 5, 9), RingCheck::kFine);
  EXPECT_EQ(check_consumed(9, 5, 9), RingCheck::kFine);
  EXPECT_EQ(check_consumed(10, 5, 9), RingCheck::kImpossible);
  EXPECT_EQ(check_consumed(4, 5, 9), RingCheck::kImpossible);
}

/// Whatever the bytes say, what is accepted lies inside the arenas.
void expect_inside(const CallView& view, const RegionSizes& sizes) {
  for (const TensorRecord& input : view.inputs) {
    if ((input.flags & kTensorByHandle) != 0) continue;
    ASSERT_LT(input.region, kMaxRegions);
    const uint64_t begin = input.region == 0 ? kArenaOffset : 0;
    ASSERT_GE(input.offset, begin);
    ASSERT_TRUE(range_inside(input.offset, input.bytes, sizes.request[input.region]));
    ASSERT_EQ(input.offset % kTensorAlignment, 0u);
  }
  for (const TensorRecord& output : view.outputs) {
    if ((output.flags & kTensorByHandle) != 0 || output.bytes == 0) continue;
    ASSERT_LT(output.region, kMaxRegions);
    ASSERT_TRUE(range_inside(output.offset, output.bytes, sizes.response[output.region]));
  }
}

TEST_F(ValidateTest, RandomChangesNeverPassAnOutsideRange) {
  std::mt19937_64 random(42);
  const uint64_t tricky[] = {0,       1,          63,        64,         kArenaOffset,
                             1 << 20, UINT32_MAX, INT64_MAX, UINT64_MAX, 1ull << 63};
  const auto good = block();
  size_t accepted = 0;
  for (int round = 0; round < 200000; ++round) {
    auto bytes = good;
    Submission submission = submission_;
    for (uint64_t change = random() % 4; change > 0; --change) {
      const uint64_t value = random() % 2 == 0 ? tricky[random() % std::size(tricky)] : random();
      const size_t width = random() % 2 == 0 ? 4 : 8;
      if (random() % 4 == 0) {
        auto* raw = reinterpret_cast<std::byte*>(&submission);
        std::memcpy(raw + random() % (sizeof(submission) / width) * width, &value, width);
      } else {
        std::memcpy(bytes.data() + random() % (bytes.size() / width) * width, &value, width);
      }
    }
    if (!check_submission(submission, sizes_).ok()) continue;
    if (submission.opcode != Opcode::kRun) continue;
    auto view = check_block(bytes, submission, sizes_);
    if (!view.ok()) continue;
    ++accepted;
    ASSERT_NO_FATAL_FAILURE(expect_inside(*view, sizes_));
  }
  EXPECT_GT(accepted, 10000u);
}

}  // namespace
}  // namespace pocket::wire
