// A model in an ONNX Runtime session.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "pocket/engine.h"
#include "prepared.h"

namespace pocket::onnxruntime_engine {

/// What this plugin refuses itself, with the status to answer. ONNX Runtime's own errors are
/// others.
class Refusal : public std::runtime_error {
 public:
  Refusal(int32_t status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  int32_t status() const { return status_; }

 private:
  int32_t status_;
};

struct Port {
  std::string name;
  int32_t dtype = POCKET_DTYPE_UNDEFINED;
  bool any_rank = false;
  std::vector<int64_t> shape;  // -1: dynamic

  /// Bytes of a tensor of fixed shape; 0 for strings and shapes not known.
  size_t static_bytes() const;
};

/// Constant after construction; runs at the same time on different threads.
class Model {
 public:
  /// Throws std::exception with ONNX Runtime's own words.
  explicit Model(const pocket_engine_load_options& options);

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  const char* const* input_names() const { return input_names_.data(); }
  Ort::Session& session() { return session_; }
  /// Why its weights are on the heap, where the host has a file for them; mostly nothing.
  const std::string& remark() const { return remark_; }

 private:
  void open(const pocket_engine_load_options& options);

  Prepared prepared_;  // destroyed after session_, which reads it
  std::string remark_;
  Ort::Session session_{nullptr};
  std::vector<Port> inputs_, outputs_;
  std::vector<const char*> input_names_;
};

}  // namespace pocket::onnxruntime_engine
