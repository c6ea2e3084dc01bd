// The wire layout is a contract between programs of different age: every offset and the bytes of
// one example of each struct are pinned here (docs/format-region.md).
#include "wire/layout.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

namespace pocket::wire {
namespace {

template <typename T>
std::string hex(const T& value) {
  std::array<unsigned char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    if (i != 0 && i % 8 == 0) text += ' ';
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

TEST(Layout, SubmissionOffsets) {
  EXPECT_EQ(offsetof(Submission, call_id), 0u);
  EXPECT_EQ(offsetof(Submission, opcode), 8u);
  EXPECT_EQ(offsetof(Submission, flags), 12u);
  EXPECT_EQ(offsetof(Submission, block_offset), 16u);
  EXPECT_EQ(offsetof(Submission, block_region), 24u);
  EXPECT_EQ(offsetof(Submission, block_bytes), 28u);
  EXPECT_EQ(offsetof(Submission, deadline_ns), 32u);
  EXPECT_EQ(offsetof(Submission, table_offset), 40u);
  EXPECT_EQ(offsetof(Submission, table_region), 48u);
  EXPECT_EQ(offsetof(Submission, table_bytes), 52u);
  EXPECT_EQ(offsetof(Submission, reserved), 56u);
  EXPECT_EQ(sizeof(Submission), 64u);
}

TEST(Layout, CompletionOffsets) {
  EXPECT_EQ(offsetof(Completion, call_id), 0u);
  EXPECT_EQ(offsetof(Completion, status), 8u);
  EXPECT_EQ(offsetof(Completion, table_bytes), 12u);
  EXPECT_EQ(offsetof(Completion, queue_ns), 16u);
  EXPECT_EQ(offsetof(Completion, compute_ns), 24u);
  EXPECT_EQ(offsetof(Completion, needed_bytes), 32u);
  EXPECT_EQ(offsetof(Completion, cpu_ns), 40u);
  EXPECT_EQ(offsetof(Completion, lent_cpu), 48u);
  EXPECT_EQ(offsetof(Completion, borrowed_cpu), 52u);
  EXPECT_EQ(offsetof(Completion, lent_memory_pages), 56u);
  EXPECT_EQ(offsetof(Completion, retry_after_us), 60u);
  EXPECT_EQ(sizeof(Completion), 64u);
}

TEST(Layout, TensorRecordOffsets) {
  EXPECT_EQ(offsetof(TensorRecord, index), 0u);
  EXPECT_EQ(offsetof(TensorRecord, dtype), 4u);
  EXPECT_EQ(offsetof(TensorRecord, rank), 8u);
  EXPECT_EQ(offsetof(TensorRecord, flags), 12u);
  EXPECT_EQ(offsetof(TensorRecord, shape), 16u);
  EXPECT_EQ(offsetof(TensorRecord, region), 80u);
  EXPECT_EQ(offsetof(TensorRecord, reserved), 84u);
  EXPECT_EQ(offsetof(TensorRecord, offset), 88u);
  EXPECT_EQ(offsetof(TensorRecord, bytes), 96u);
  EXPECT_EQ(offsetof(TensorRecord, handle), 104u);
  EXPECT_EQ(offsetof(TensorRecord, reserved2), 112u);
  EXPECT_EQ(sizeof(TensorRecord), 128u);
}

TEST(Layout, BlockAndHeaderOffsets) {
  EXPECT_EQ(offsetof(CallBlock, input_count), 0u);
  EXPECT_EQ(offsetof(CallBlock, output_count), 4u);
  EXPECT_EQ(offsetof(CallBlock, reserved), 8u);
  EXPECT_EQ(offsetof(RequestHeader, magic), 0u);
  EXPECT_EQ(offsetof(RequestHeader, version), 4u);
  EXPECT_EQ(offsetof(RequestHeader, submitted), 64u);
  EXPECT_EQ(offsetof(RequestHeader, completions_taken), 128u);
  EXPECT_EQ(offsetof(RequestHeader, client_parked), 192u);
  EXPECT_EQ(offsetof(RequestHeader, client_wants_fd), 196u);
  EXPECT_EQ(offsetof(ResponseHeader, magic), 0u);
  EXPECT_EQ(offsetof(ResponseHeader, version), 4u);
  EXPECT_EQ(offsetof(ResponseHeader, state), 8u);
  EXPECT_EQ(offsetof(ResponseHeader, completed), 64u);
  EXPECT_EQ(offsetof(ResponseHeader, completed_word), 72u);
  EXPECT_EQ(offsetof(ResponseHeader, submissions_taken), 128u);
  EXPECT_EQ(offsetof(ResponseHeader, runner_parked), 192u);
}

TEST(Layout, Constants) {
  EXPECT_EQ(kRingSlots, 256u);
  EXPECT_EQ(kMaxRegions, 16u);
  EXPECT_EQ(kMaxTensors, 64u);
  EXPECT_EQ(kTensorAlignment, 64u);
  EXPECT_EQ(kArenaOffset, 4096u + 256u * 64u);
  EXPECT_EQ(kArenaOffset % kTensorAlignment, 0u);
  EXPECT_EQ(kMaxBlockBytes, 64u + 128u * 128u);
  EXPECT_EQ(hex(kRequestMagic), "504b5251");   // "PKRQ"
  EXPECT_EQ(hex(kResponseMagic), "504b5253");  // "PKRS"
}

TEST(Layout, GoldenSubmission) {
  const Submission submission{0x0807060504030201, Opcode::kRun, 0,      0x5000, 1, 192,
                              UINT64_MAX,         0x5040,       0x0002, 256,    0};
  EXPECT_EQ(hex(submission),
            "0102030405060708 0100000000000000 0050000000000000 01000000c0000000 "
            "ffffffffffffffff 4050000000000000 0200000000010000 0000000000000000");
}

TEST(Layout, GoldenCompletion) {
  const Completion completion{7,    POCKET_FLOAT64, 128,  0x1122, 0x3344, 0x55,
                              0x66, 0x77,           0x88, 0x99,   0xaa};
  EXPECT_EQ(hex(completion),
            "0700000000000000 0b00000080000000 2211000000000000 4433000000000000 "
            "5500000000000000 6600000000000000 7700000088000000 99000000aa000000");
}

TEST(Layout, GoldenTensorRecord) {
  const TensorRecord record{2, POCKET_INT64, 2, kTensorByHandle, {1, -1}, 3, 0, 0x40, 16, 9, {}};
  EXPECT_EQ(hex(record),
            "0200000007000000 0200000001000000 0100000000000000 ffffffffffffffff "
            "0000000000000000 0000000000000000 0000000000000000 0000000000000000 "
            "0000000000000000 0000000000000000 0300000000000000 4000000000000000 "
            "1000000000000000 0900000000000000 0000000000000000 0000000000000000");
}

}  // namespace
}  // namespace pocket::wire
