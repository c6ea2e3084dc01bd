#include "plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "base/nearest.h"

namespace pocket::pipeline_engine {
namespace {

using model::PipelineStep;
using tensor::NamedSpec;
using tensor::Spec;
using tensor::spec_text;

Error invalid(std::string text) { return Error{POCKET_INVALID_ARGUMENT, std::move(text)}; }

/// The message that runs a method by its name: docs/format-handler.md.
Result<tensor::Tensor> request_for(const std::string& method) {
  constexpr size_t kHeadBytes = 48;
  const int64_t shape[] = {static_cast<int64_t>(kHeadBytes + method.size() + 1)};
  POCKET_ASSIGN_OR_RETURN(tensor::Tensor request, tensor::make_tensor(POCKET_UINT8, shape));
  std::memset(request.writable(), 0, request.bytes);
  std::memcpy(request.writable(), "PKH1", 4);
  constexpr uint32_t kByName = 4;
  std::memcpy(request.values<std::byte>() + 24, &kByName, sizeof(kByName));
  std::memcpy(request.values<std::byte>() + kHeadBytes, method.data(), method.size());
  return request;
}

/// Puts a pipeline's steps together, tensor by tensor.
class Planner {
 public:
  explicit Planner(const pocket_engine_host* host) : host_(host) {}

  void add_input(const model::PipelineInput& input) {
    plan_.inputs.push_back({input.name, {input.dtype, false, input.shape}});
    add_tensor(input.name, plan_.inputs.back().spec);
  }
  Result<void> add_step(const PipelineStep& step) {
    PlannedStep planned;
    planned.label = step.label;
    auto added = step.kind == PipelineStep::Kind::kOperation ? add_operation(step, planned)
                                                             : add_peer(step, planned);
    if (!added.ok()) {
      return std::move(added).error().with_context(fmt::format("step '{}'", step.label));
    }
    plan_.steps.push_back(std::move(planned));
    return ok_result();
  }
  Plan finish(const std::vector<std::string>& outputs);

 private:
  Result<void> add_operation(const PipelineStep& step, PlannedStep& planned);
  Result<void> add_peer(const PipelineStep& step, PlannedStep& planned);
  void add_tensor(const std::string& name, Spec spec) {
    slots_[name] = specs_.size();
    specs_.push_back(std::move(spec));
  }

  const pocket_engine_host* host_;
  Plan plan_;
  std::map<std::string, size_t> slots_;
  std::vector<Spec> specs_;  // by slot
};

Result<void> Planner::add_operation(const PipelineStep& step, PlannedStep& planned) {
  POCKET_ASSIGN_OR_RETURN(planned.operation, operations::find_operation(step.target));
  for (const auto& [name, value] : step.parameters) planned.parameters.set(name, value);
  std::vector<Spec> given;
  for (const auto& input : step.inputs) {
    if (!input.port.empty())
      return invalid("an operation takes its tensors in order: inputs = [...]");
    planned.inputs.push_back(slots_.at(input.tensor));
    given.push_back(specs_[planned.inputs.back()]);
  }
  POCKET_ASSIGN_OR_RETURN(
      const auto made, operations::infer_operation(*planned.operation, given, planned.parameters));
  if (step.outputs.size() > made.size()) {
    return invalid(
        fmt::format("it gives {} tensors, {} are named", made.size(), step.outputs.size()));
  }
  planned.outputs.assign(made.size(), kNoSlot);
  for (size_t index = 0; index < step.outputs.size(); ++index) {
    if (!step.outputs[index].port.empty()) {
      return invalid("an operation gives its tensors in order: outputs = [...]");
    }
    planned.outputs[index] = specs_.size();
    add_tensor(step.outputs[index].tensor, made[index]);
  }
  return ok_result();
}

/// Which of a model's tensors a step means: by position from `first` on, or by name.
Result<size_t> find_port(const std::vector<NamedSpec>& known, const PipelineStep::Port& port,
                         size_t position, const char* kind) {
  if (port.port.empty()) {
    if (position < known.size()) return position;
    return invalid(fmt::format("'{}' has no {} {}", port.tensor, kind, position));
  }
  std::vector<std::string_view> names;
  for (size_t index = 0; index < known.size(); ++index) {
    if (known[index].name == port.port) return index;
    names.push_back(known[index].name);
  }
  const std::string nearest = nearest_word(port.port, names);
  return invalid(fmt::format("it has no {} '{}'{}", kind, port.port,
                             nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
}

Result<void> Planner::add_peer(const PipelineStep& step, PlannedStep& planned) {
  POCKET_ASSIGN_OR_RETURN(planned.peer, tensor::Peer::find(host_, step.target));
  const tensor::Peer& peer = *planned.peer;
  const bool handler = step.kind == PipelineStep::Kind::kHandler;
  const bool is_one = !peer.inputs().empty() && peer.inputs()[0].name == "request" &&
                      !peer.outputs().empty() && peer.outputs()[0].name == "reply";
  if (handler && !is_one)
    return invalid(fmt::format("'{}' is no handler: model = ...", step.target));
  if (handler) {
    POCKET_ASSIGN_OR_RETURN(planned.request, request_for(step.method));
  }
  const size_t first = handler ? 1 : 0;  // the message is no tensor of the pipeline
  planned.inputs.assign(peer.inputs().size(), kNoSlot);
  for (size_t index = 0; index < step.inputs.size(); ++index) {
    const auto& input = step.inputs[index];
    POCKET_ASSIGN_OR_RETURN(const size_t port,
                            find_port(peer.inputs(), input, index + first, "input"));
    const size_t slot = slots_.at(input.tensor);
    const Spec& wanted = peer.inputs()[port].spec;
    if (!tensor::may_fit(specs_[slot], wanted)) {
      return invalid(fmt::format("input '{}' of '{}' is {}, '{}' is {}", peer.inputs()[port].name,
                                 step.target, spec_text(wanted), input.tensor,
                                 spec_text(specs_[slot])));
    }
    if (planned.inputs[port] != kNoSlot) {
      return invalid(fmt::format("input '{}' is given twice", peer.inputs()[port].name));
    }
    planned.inputs[port] = slot;
  }
  for (size_t port = first; port < planned.inputs.size(); ++port) {
    if (planned.inputs[port] != kNoSlot ||
        peer.inputs()[port].spec.dtype == POCKET_DTYPE_UNDEFINED) {
      continue;
    }
    return invalid(
        fmt::format("input '{}' of '{}' gets no tensor", peer.inputs()[port].name, step.target));
  }
  planned.outputs.assign(peer.outputs().size(), kNoSlot);
  for (size_t index = 0; index < step.outputs.size(); ++index) {
    POCKET_ASSIGN_OR_RETURN(
        const size_t port, find_port(peer.outputs(), step.outputs[index], index + first, "output"));
    if (planned.outputs[port] != kNoSlot) {
      return invalid(fmt::format("output '{}' has two names", peer.outputs()[port].name));
    }
    planned.outputs[port] = specs_.size();
    add_tensor(step.outputs[index].tensor, peer.outputs()[port].spec);
  }
  return ok_result();
}

Plan Planner::finish(const std::vector<std::string>& outputs) {
  for (const auto& output : outputs) {
    const size_t slot = slots_.at(output);
    plan_.outputs.push_back({output, specs_[slot]});
    plan_.output_slots.push_back(slot);
  }
  plan_.slots = specs_.size();
  // From the last step back: whoever is first seen to use a tensor is the last to need it.
  std::vector<bool> needed(plan_.slots, false);
  for (const size_t slot : plan_.output_slots) needed[slot] = true;
  for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
    for (const auto* list : {&step->inputs, &step->outputs}) {
      for (const size_t slot : *list) {
        if (slot == kNoSlot || needed[slot]) continue;
        needed[slot] = true;
        step->done.push_back(slot);
      }
    }
  }
  return std::move(plan_);
}

}  // namespace

Result<Plan> make_plan(const model::PipelineFile& file, const pocket_engine_host* host) {
  Planner planner(host);
  for (const auto& input : file.inputs) planner.add_input(input);
  for (const auto& step : file.steps) POCKET_RETURN_IF_ERROR(planner.add_step(step));
  return planner.finish(file.outputs);
}

}  // namespace pocket::pipeline_engine
