// A pipeline that was checked against the models it runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/pipeline_file.h"
#include "operations/operation.h"
#include "pocket/engine.h"
#include "tensor/peer.h"

namespace pocket::pipeline_engine {

constexpr size_t kNoSlot = SIZE_MAX;

/// Tensors are numbered: the pipeline's inputs first. A step names the numbers of what it takes and
/// gives.
struct PlannedStep {
  std::string label;
  const operations::Operation* operation = nullptr;  // or
  operations::Parameters parameters;
  std::optional<tensor::Peer> peer;  // a model or a handler
  tensor::Tensor request;            // what a handler is asked for
  std::vector<size_t> inputs;        // by index of the operation's or model's inputs; kNoSlot: none
  std::vector<size_t> outputs;       // likewise; kNoSlot: nobody wants it
  std::vector<size_t> done;          // tensors that no later step, and no output, needs
};

struct Plan {
  std::vector<tensor::NamedSpec> inputs;
  std::vector<PlannedStep> steps;
  std::vector<tensor::NamedSpec> outputs;
  std::vector<size_t> output_slots;
  size_t slots = 0;
};

/// Finds what the steps run, and checks that each gives what the next ones take. INVALID_ARGUMENT
/// names the step, the tensor, and both descriptions.
Result<Plan> make_plan(const model::PipelineFile& file, const pocket_engine_host* host);

}  // namespace pocket::pipeline_engine
