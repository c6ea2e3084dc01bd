// What the fuzz targets share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

namespace pocket::fuzz {

/// Ends the program, so that the fuzzer keeps the input. Not an assert: it holds in every build.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

inline std::string text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Takes numbers from the front of an input; zeros once it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}
  bool empty() const { return rest_.empty(); }
  std::span<const uint8_t> rest() const { return rest_; }
  template <typename T>
  T take() {
    T value{};
    const auto bytes = take_bytes(sizeof(T));
    for (size_t index = 0; index < bytes.size(); ++index) {
      reinterpret_cast<uint8_t*>(&value)[index] = bytes[index];
    }
    return value;
  }
  std::span<const uint8_t> take_bytes(size_t most) {
    const auto bytes = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    return bytes;
  }

 private:
  std::span<const uint8_t> rest_;
};

}  // namespace pocket::fuzz
