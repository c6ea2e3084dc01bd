// A memory mapping that unmaps itself.
#pragma once

#include <cstddef>
#include <utility>

#include "base/result.h"

namespace pocket {

enum class MapAccess { kReadOnly, kReadWrite };

/// Owns one shared mapping of a file descriptor; move-only. The descriptor may be closed
/// afterwards. With `keep_on_fork` false a forked child does not have the mapping (MADV_DONTFORK).
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  /// Maps the first `size` bytes of `fd`, MAP_SHARED.
  static Result<Mapping> map(int fd, size_t size, MapAccess access, bool keep_on_fork = false);

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  bool valid() const { return data_ != nullptr; }

 private:
  Mapping(std::byte* data, size_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pocket
