// A submission and its block, over regions of any size: what is accepted lies inside the regions.
#include <cstring>
#include <vector>

#include "fuzz.h"
#include "wire/validate.h"

namespace {

using namespace pocket;

void require_inside(const std::array<uint64_t, wire::kMaxRegions>& sizes, uint32_t region,
                    uint64_t offset, uint64_t bytes) {
  fuzz::require(region < wire::kMaxRegions, "a region that cannot be");
  const uint64_t first = region == 0 ? wire::kArenaOffset : 0;
  fuzz::require(offset >= first && offset <= sizes[region] && bytes <= sizes[region] - offset,
                "memory outside the region was accepted");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  wire::RegionSizes sizes;
  for (uint32_t region = 0; region < 2; ++region) {
    sizes.request[region] = input.take<uint32_t>();
    sizes.response[region] = input.take<uint32_t>();
  }
  const auto submission = input.take<wire::Submission>();
  const wire::ResponseRoom room = wire::table_room(submission, sizes);
  if (room.bytes > 0) require_inside(sizes.response, room.region, room.offset, room.bytes);
  if (!wire::check_submission(submission, sizes).ok() || submission.opcode != wire::Opcode::kRun) {
    return 0;
  }
  fuzz::require(submission.block_bytes <= wire::kMaxBlockBytes, "a block that is too large");
  require_inside(sizes.request, submission.block_region, submission.block_offset,
                 submission.block_bytes);
  std::vector<uint64_t> block(submission.block_bytes / 8 + 1);
  const auto bytes = input.take_bytes(submission.block_bytes);
  std::memcpy(block.data(), bytes.data(), bytes.size());
  const auto view =
      wire::check_block({reinterpret_cast<const std::byte*>(block.data()), submission.block_bytes},
                        submission, sizes);
  if (!view.ok()) return 0;
  for (const auto& tensor : view->inputs) {
    if ((tensor.flags & wire::kTensorByHandle) != 0) continue;
    if (tensor.bytes > 0) require_inside(sizes.request, tensor.region, tensor.offset, tensor.bytes);
    if (tensor.dtype == POCKET_STRING) {
      std::vector<uint64_t> words(input.rest().size() / 8 + 1);
      std::memcpy(words.data(), input.rest().data(), input.rest().size());
      const std::span<const std::byte> text(reinterpret_cast<const std::byte*>(words.data()),
                                            input.rest().size());
      (void)wire::check_strings(text, static_cast<uint64_t>(tensor.shape[0]));
    }
  }
  for (const auto& tensor : view->outputs) {
    if ((tensor.flags & wire::kTensorByHandle) != 0 || tensor.bytes == 0) continue;
    require_inside(sizes.response, tensor.region, tensor.offset, tensor.bytes);
  }
  return 0;
}
