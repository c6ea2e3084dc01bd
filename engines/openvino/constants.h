// The constants of a compiled model, in a file instead of in memory.
//
// OpenVINO computes with copies that it has arranged for the processor, and keeps what it made them
// from as well: weights are there twice. Of a model that was exported and imported again, the
// second set lies in the memory it was imported from, which here is a mapping of a file: the pages
// are given back once the copies are made, and those that are read after all come from the file
// (docs/adr/0016-constants-on-disk.md).
#pragma once

#include <cstddef>
#include <openvino/openvino.hpp>
#include <utility>

namespace pocket::openvino_engine {

/// A mapping that a model which came out of it needs to the end. Move-only.
class Constants {
 public:
  Constants() = default;
  Constants(Constants&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Constants& operator=(Constants&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Constants();

  /// Writes `model` into `file`, which is empty, and maps that. Throws std::exception with the
  /// reason; the model is as before.
  static Constants of(ov::CompiledModel& model, int file);

  /// The same model over again, which was compiled with `properties`.
  ov::CompiledModel import(ov::Core& core, const ov::AnyMap& properties) const;

  /// What was read of them lately need not stay in memory; it is in the file.
  void drop_pages() const;

 private:
  Constants(void* data, size_t size) : data_(data), size_(size) {}
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pocket::openvino_engine
