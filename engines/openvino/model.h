// A model compiled by OpenVINO, and the conversions between its types and Pocket's.
#pragma once

#include <cstdint>
#include <openvino/openvino.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "constants.h"
#include "pocket/engine.h"

namespace pocket::openvino_engine {

/// What this plugin refuses itself, with the status to answer. OpenVINO's own errors are others.
class Refusal : public std::runtime_error {
 public:
  Refusal(int32_t status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  int32_t status() const { return status_; }

 private:
  int32_t status_;
};

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
  /// True when some output is an input handed on: OpenVINO does not write it to an output tensor
  /// that it is given, so its outputs must be fetched.
  bool passes_through() const { return passes_through_; }
  /// Why something of it is in memory that need not be; mostly nothing.
  const std::string& remark() const { return remark_; }
  /// Lets go what only runs need.
  void give_back();
  ov::InferRequest create_request() { return compiled_.create_infer_request(); }

 private:
  void compile(const pocket_engine_load_options& options);

  Constants constants_;  // destroyed after compiled_, which reads them
  ov::CompiledModel compiled_;
  std::string remark_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  bool passes_through_ = false;
};

/// Pocket's dtype of an OpenVINO type; throws Refusal for types Pocket lacks.
int32_t dtype_of(const ov::element::Type& type);
/// OpenVINO's type of a Pocket dtype; throws Refusal for types OpenVINO lacks.
ov::element::Type type_of(int32_t dtype);

}  // namespace pocket::openvino_engine
