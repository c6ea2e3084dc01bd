// A model compiled by OpenVINO, and the conversions between its types and Pocket's.
#pragma once

#include <cstdint>
#include <openvino/openvino.hpp>
#include <string>
#include <vector>

#include "pocket/engine.h"

namespace pocket::openvino_engine {

/// A port of the model as Pocket names it.
struct Port {
  std::string name;
  ov::element::Type type;
  int32_t dtype = POCKET_DTYPE_UNDEFINED;
  ov::PartialShape shape;
};

/// Constant after construction; requests run at the same time on different threads.
class Model {
 public:
  /// Throws std::exception with OpenVINO's own words.
  explicit Model(const pocket_engine_load_options& options);

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  ov::InferRequest create_request() { return compiled_.create_infer_request(); }

 private:
  ov::CompiledModel compiled_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
};

/// Pocket's dtype of an OpenVINO type; throws std::invalid_argument for types Pocket lacks.
int32_t dtype_of(const ov::element::Type& type);
/// OpenVINO's type of a Pocket dtype; throws std::invalid_argument for types OpenVINO lacks.
ov::element::Type type_of(int32_t dtype);

}  // namespace pocket::openvino_engine
