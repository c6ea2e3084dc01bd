#include "wire/validate.h"

#include <cstring>
#include <string>

#include "base/checked.h"

namespace pocket::wire {
namespace {

Error invalid(std::string message) { return Error{POCKET_INVALID_ARGUMENT, std::move(message)}; }

std::string tensor_name(const char* kind, uint32_t index) {
  return std::string(kind) + " " + std::to_string(index);
}

Result<void> check_shape(const TensorRecord& record, const char* kind) {
  if (record.rank < 0 || record.rank > POCKET_MAX_RANK) {
    return invalid(tensor_name(kind, record.index) + ": rank " + std::to_string(record.rank) +
                   " is not 0 .. " + std::to_string(POCKET_MAX_RANK));
  }
  if (!element_count({record.shape, static_cast<size_t>(record.rank)})) {
    return invalid(tensor_name(kind, record.index) +
                   ": a dimension is negative or the element count overflows");
  }
  return ok_result();
}

/// The size that dtype and shape ask for: exact for fixed-size types, the least for strings.
Result<void> check_size(const TensorRecord& record, const char* kind) {
  const std::span<const int64_t> shape(record.shape, static_cast<size_t>(record.rank));
  if (record.dtype == POCKET_STRING) {
    const auto offsets = checked_multiply(*element_count(shape) + 1, sizeof(uint64_t));
    if (!offsets || record.bytes < *offsets) {
      return invalid(tensor_name(kind, record.index) + ": " + std::to_string(record.bytes) +
                     " bytes do not hold the string offsets of its shape");
    }
    return ok_result();
  }
  const auto expected = tensor_bytes(record.dtype, shape);
  if (!expected) {
    return invalid(tensor_name(kind, record.index) + ": dtype " + std::to_string(record.dtype) +
                   " is unknown or the size overflows");
  }
  if (record.bytes != *expected) {
    return invalid(tensor_name(kind, record.index) + ": " + std::to_string(record.bytes) +
                   " bytes given, dtype and shape need " + std::to_string(*expected));
  }
  return ok_result();
}

Result<void> check_place(const TensorRecord& record, const char* kind,
                         const std::array<uint64_t, kMaxRegions>& sizes) {
  if (record.offset % kTensorAlignment != 0) {
    return invalid(tensor_name(kind, record.index) + ": offset " + std::to_string(record.offset) +
                   " is not a multiple of " + std::to_string(kTensorAlignment));
  }
  if (!inside_arena(sizes, record.region, record.offset, record.bytes)) {
    return invalid(tensor_name(kind, record.index) + ": " + std::to_string(record.bytes) +
                   " bytes at offset " + std::to_string(record.offset) + " of region " +
                   std::to_string(record.region) + " are outside its arena");
  }
  return ok_result();
}

Result<void> check_flags(const TensorRecord& record, const char* kind) {
  if ((record.flags & ~static_cast<uint32_t>(kTensorByHandle)) != 0) {
    return invalid(tensor_name(kind, record.index) + ": unknown flags " +
                   std::to_string(record.flags));
  }
  return ok_result();
}

Result<void> check_input(const TensorRecord& record, const RegionSizes& sizes) {
  POCKET_RETURN_IF_ERROR(check_flags(record, "input"));
  if ((record.flags & kTensorByHandle) != 0) return ok_result();
  POCKET_RETURN_IF_ERROR(check_shape(record, "input"));
  POCKET_RETURN_IF_ERROR(check_size(record, "input"));
  return check_place(record, "input", sizes.request);
}

Result<void> check_output(const TensorRecord& record, const RegionSizes& sizes) {
  POCKET_RETURN_IF_ERROR(check_flags(record, "output"));
  const bool no_room = (record.flags & kTensorByHandle) != 0 || record.bytes == 0;
  return no_room ? ok_result() : check_place(record, "output", sizes.response);
}

}  // namespace

bool inside_arena(const std::array<uint64_t, kMaxRegions>& sizes, uint32_t region, uint64_t offset,
                  uint64_t bytes) {
  if (region >= kMaxRegions || sizes[region] == 0) return false;
  if (region == 0 && offset < kArenaOffset) return false;
  return range_inside(offset, bytes, sizes[region]);
}

ResponseRoom table_room(const Submission& submission, const RegionSizes& sizes) {
  const bool aligned = submission.table_offset % alignof(TensorRecord) == 0;
  if (!aligned || submission.table_bytes == 0 ||
      !inside_arena(sizes.response, submission.table_region, submission.table_offset,
                    submission.table_bytes)) {
    return {};
  }
  return {submission.table_region, submission.table_offset, submission.table_bytes};
}

Result<void> check_submission(const Submission& submission, const RegionSizes& sizes) {
  if (submission.flags != 0) {
    return invalid("submission: unknown flags " + std::to_string(submission.flags));
  }
  switch (submission.opcode) {
    case Opcode::kRun:
      break;
    case Opcode::kCancel:
    case Opcode::kReleaseHandle:
      return ok_result();
    default:
      return invalid("submission: unknown opcode " +
                     std::to_string(static_cast<uint32_t>(submission.opcode)));
  }
  if (submission.block_bytes < sizeof(CallBlock) || submission.block_bytes > kMaxBlockBytes) {
    return invalid("submission: block of " + std::to_string(submission.block_bytes) +
                   " bytes is not " + std::to_string(sizeof(CallBlock)) + " .. " +
                   std::to_string(kMaxBlockBytes));
  }
  if (submission.block_offset % alignof(CallBlock) != 0 ||
      !inside_arena(sizes.request, submission.block_region, submission.block_offset,
                    submission.block_bytes)) {
    return invalid("submission: the block is outside the request arena or not aligned");
  }
  if (submission.table_bytes != 0 && table_room(submission, sizes).bytes == 0) {
    return invalid("submission: the result table is outside the response arena or not aligned");
  }
  return ok_result();
}

Result<CallView> check_block(std::span<const std::byte> block, const Submission& submission,
                             const RegionSizes& sizes) {
  CallBlock head;
  if (block.size() < sizeof(head) || block.size() != submission.block_bytes) {
    return invalid("call block: its size is not the submission's");
  }
  std::memcpy(&head, block.data(), sizeof(head));
  if (head.input_count > kMaxTensors || head.output_count > kMaxTensors) {
    return invalid("call block: " + std::to_string(head.input_count) + " inputs and " +
                   std::to_string(head.output_count) + " outputs; at most " +
                   std::to_string(kMaxTensors) + " each");
  }
  const size_t records = head.input_count + head.output_count;
  if (block.size() != sizeof(head) + records * sizeof(TensorRecord)) {
    return invalid("call block: " + std::to_string(block.size()) + " bytes do not hold " +
                   std::to_string(records) + " tensors exactly");
  }
  if (head.output_count * sizeof(TensorRecord) > submission.table_bytes) {
    return invalid("submission: a result table of " + std::to_string(submission.table_bytes) +
                   " bytes does not hold " + std::to_string(head.output_count) + " outputs");
  }
  const auto* first = reinterpret_cast<const TensorRecord*>(block.data() + sizeof(head));
  const CallView view{{first, head.input_count}, {first + head.input_count, head.output_count}};
  for (const TensorRecord& record : view.inputs) {
    POCKET_RETURN_IF_ERROR(check_input(record, sizes));
  }
  for (const TensorRecord& record : view.outputs) {
    POCKET_RETURN_IF_ERROR(check_output(record, sizes));
  }
  return view;
}

Result<void> check_strings(std::span<const std::byte> tensor, uint64_t count) {
  const auto entries = checked_add(count, 1);
  const auto head = entries ? checked_multiply(*entries, sizeof(uint64_t)) : std::nullopt;
  if (!head || *head > tensor.size()) {
    return invalid("string tensor of " + std::to_string(tensor.size()) + " bytes does not hold " +
                   std::to_string(count) + " + 1 offsets");
  }
  const uint64_t room = tensor.size() - *head;
  uint64_t before = 0;
  for (uint64_t i = 0; i <= count; ++i) {
    uint64_t offset = 0;
    std::memcpy(&offset, tensor.data() + i * sizeof(offset), sizeof(offset));
    if ((i == 0 && offset != 0) || offset < before || offset > room) {
      return invalid("string tensor: offset " + std::to_string(offset) + " of element " +
                     std::to_string(i) + " does not start at 0, falls, or is past the " +
                     std::to_string(room) + " bytes of text");
    }
    before = offset;
  }
  return ok_result();
}

RingCheck check_produced(uint64_t produced, uint64_t consumed) {
  return produced - consumed <= kRingSlots ? RingCheck::kFine : RingCheck::kImpossible;
}

RingCheck check_consumed(uint64_t consumed, uint64_t consumed_before, uint64_t produced) {
  return consumed - consumed_before <= produced - consumed_before ? RingCheck::kFine
                                                                  : RingCheck::kImpossible;
}

}  // namespace pocket::wire
