// A model as ONNX Runtime has prepared it, in a file that its session reads the weights from.
//
// Read from a model's own file, every weight is a copy on the heap. Of a model in ONNX Runtime's
// own format a session uses the weights where they lie, which here is a mapping of a file: what is
// never read (the raw form of what was packed, the words of a vocabulary that do not occur) is not
// in memory, and the rest are pages that the kernel can take back
// (docs/adr/0016-constants-on-disk.md).
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstddef>
#include <functional>
#include <utility>

namespace pocket::onnxruntime_engine {

/// A mapping that the session which came out of it needs to its end. Move-only.
class Prepared {
 public:
  using MakeOptions = std::function<Ort::SessionOptions()>;

  Prepared() = default;
  Prepared(Prepared&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        inputs_(other.inputs_) {}
  Prepared& operator=(Prepared&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(inputs_, other.inputs_);
    return *this;
  }
  ~Prepared();

  /// Optimizes the model at `path` as `options` say, into `file`, which is empty, and maps that.
  /// Throws std::exception with the reason.
  static Prepared of(Ort::Env& env, const char* path, const MakeOptions& options, int file);

  /// The session; its optimizations are done.
  Ort::Session open(Ort::Env& env, const MakeOptions& options) const;

 private:
  Prepared(void* data, size_t size, size_t inputs) : data_(data), size_(size), inputs_(inputs) {}
  void* data_ = nullptr;
  size_t size_ = 0;
  size_t inputs_ = 0;  // of the model
};

}  // namespace pocket::onnxruntime_engine
