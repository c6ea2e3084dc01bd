// A signature of a SavedModel in a TensorFlow session.
#pragma once

#include <tensorflow/c/c_api.h>

#include <memory>
#include <span>
#include <vector>

#include "options.h"
#include "signature.h"

namespace pocket::tensorflow_engine {

struct Deleter {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
  void operator()(TF_Graph* graph) const { TF_DeleteGraph(graph); }
  void operator()(TF_Buffer* buffer) const { TF_DeleteBuffer(buffer); }
  void operator()(TF_SessionOptions* options) const { TF_DeleteSessionOptions(options); }
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, Deleter>;

/// Throws Refusal with TensorFlow's own words when the status is not OK.
void check(const TF_Status* status);

/// Constant after construction; runs at the same time on different threads.
class Model {
 public:
  /// Throws std::exception: a Refusal, or what a damaged file leads to.
  explicit Model(const pocket_engine_load_options& options);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const std::vector<Port>& inputs() const { return signature_.inputs; }
  const std::vector<Port>& outputs() const { return signature_.outputs; }
  /// True when TensorFlow may hold on to an input after the call.
  bool keeps_inputs() const { return options_.keep_state; }

  /// Runs the graph for `wanted` outputs (their indices). Throws Refusal with TensorFlow's words.
  std::vector<Owned<TF_Tensor>> run(std::span<const uint32_t> given,
                                    std::span<TF_Tensor* const> values,
                                    std::span<const uint32_t> wanted);

 private:
  Options options_;
  Signature signature_;
  Owned<TF_Graph> graph_;
  TF_Session* session_ = nullptr;
  std::vector<TF_Output> feeds_, fetches_;  // in the order of the signature's ports
};

}  // namespace pocket::tensorflow_engine
