// The memory of one direction of a channel: which parts of its regions are in use.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace pocket::client {

/// A piece of a region.
struct Block {
  uint32_t region = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;  // 0: none
};

/// First-fit allocator over several regions, 64-byte aligned. Keeps its books in private memory, so
/// nothing in shared memory can confuse it. Not thread-safe: its channel locks.
class Arena {
 public:
  /// Makes [from, to) of the next region available; regions are numbered in the order they come.
  void add_region(uint64_t from, uint64_t to);
  std::optional<Block> allocate(uint64_t bytes);
  void free(const Block& block);
  uint64_t free_bytes() const;

 private:
  // By region: free ranges, offset to size, never touching each other.
  std::vector<std::map<uint64_t, uint64_t>> free_;
};

}  // namespace pocket::client
