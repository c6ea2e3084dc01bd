// The same calls made in two ways: with the engine in this process, and through Pocket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cases.h"
#include "engine/plugin.h"
#include "pocket/pocket.h"

namespace pocket::equality {

struct OutputTensor {
  int32_t dtype = 0;
  std::vector<int64_t> shape;
  std::string bytes;
  bool operator==(const OutputTensor&) const = default;
};

/// Status, words and outputs of one step.
struct Answer {
  int32_t status = POCKET_OK;
  std::string message;
  std::vector<OutputTensor> outputs;
};

/// An input or output as the model describes it.
struct Port {
  std::string name;
  int32_t dtype = 0;
  int32_t rank = 0;
  std::vector<int64_t> shape;
  bool operator==(const Port&) const = default;
};

/// The call's inputs by the indices that they have among the model's `ports`. Inputs that the model
/// does not have are left out: engines drop those that a model does not use.
std::vector<Tensor> match_inputs(const Call& call, const std::vector<Port>& ports);

struct Answers {
  Answer load;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<Answer> calls;  // empty when the model did not load
};

/// Loads the model that the repository `models` has under the case's name, with the threads and
/// options its entry asks for, and makes every call. Throws std::exception when the entry is bad.
Answers answers_in_process(const engine::Plugin& plugin, const std::string& models,
                           const Case& each);

/// The same through a service. Each call is made twice, with the same pocket_call: an answer that
/// is another the second time is reported as POCKET_INTERNAL.
Answers answers_through_pocket(pocket_session* session, const std::string& engine,
                               const Case& each);

/// Empty when both are the same bit for bit; else what is different. A failure must have the same
/// status on both sides, and through Pocket the engine's own words must be in the message.
std::string difference(const Answers& in_process, const Answers& through_pocket);

}  // namespace pocket::equality
