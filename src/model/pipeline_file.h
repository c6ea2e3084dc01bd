// model.pipeline: steps that put operations, models and handlers one after the other. The format:
// docs/pipelines.md. Nothing here knows what the steps do.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace pocket::model {

/// An input of the pipeline; -1: any size.
struct PipelineInput {
  std::string name;
  int32_t dtype = 0;
  std::vector<int64_t> shape;
};

using PipelineParameter =
    std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

struct PipelineStep {
  enum class Kind { kOperation, kModel, kHandler };
  /// One tensor of a step: what the step calls it (empty: by position), what the pipeline does.
  struct Port {
    std::string port;
    std::string tensor;
  };
  Kind kind = Kind::kOperation;
  std::string label;   // for messages: its name, else what it runs
  std::string target;  // the operation, or the model or handler, without its version
  std::string wanted;  // as `uses` of an entry has it: "name" or "name@version"
  std::string method;  // of a handler
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<std::pair<std::string, PipelineParameter>> parameters;
  uint32_t line = 0;
};

struct PipelineFile {
  std::vector<PipelineInput> inputs;
  std::vector<PipelineStep> steps;  // in an order in which each finds its tensors made
  std::vector<std::string> outputs;
};

/// Reads a pipeline and puts its steps in order. INVALID_ARGUMENT names the line and: an unknown
/// key, a tensor that nothing makes (with the nearest one), one that two steps make, a circle.
Result<PipelineFile> parse_pipeline(const std::string& text, const std::string& path);
Result<PipelineFile> read_pipeline_file(const std::string& path);

}  // namespace pocket::model
