#include "client/arena.h"

#include <cassert>

#include "base/checked.h"
#include "wire/layout.h"

namespace pocket::client {

void Arena::add_region(uint64_t from, uint64_t to) {
  auto& ranges = free_.emplace_back();
  if (from < to) ranges[from] = to - from;
}

std::optional<Block> Arena::allocate(uint64_t bytes) {
  const auto size = checked_align_up(bytes == 0 ? 1 : bytes, wire::kTensorAlignment);
  if (!size) return std::nullopt;
  for (uint32_t region = 0; region < free_.size(); ++region) {
    auto& ranges = free_[region];
    for (auto range = ranges.begin(); range != ranges.end(); ++range) {
      if (range->second < *size) continue;
      const auto [offset, length] = *range;
      ranges.erase(range);
      if (length > *size) ranges[offset + *size] = length - *size;
      return Block{region, offset, *size};
    }
  }
  return std::nullopt;
}

void Arena::free(const Block& block) {
  if (block.bytes == 0) return;
  auto& ranges = free_.at(block.region);
  auto [range, inserted] = ranges.emplace(block.offset, block.bytes);
  assert(inserted);
  const auto next = std::next(range);
  if (next != ranges.end() && range->first + range->second == next->first) {
    range->second += next->second;
    ranges.erase(next);
  }
  if (range != ranges.begin()) {
    const auto before = std::prev(range);
    if (before->first + before->second == range->first) {
      before->second += range->second;
      ranges.erase(range);
    }
  }
}

uint64_t Arena::free_bytes() const {
  uint64_t bytes = 0;
  for (const auto& ranges : free_) {
    for (const auto& [offset, length] : ranges) bytes += length;
  }
  return bytes;
}

}  // namespace pocket::client
