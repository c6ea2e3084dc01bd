#include <fmt/format.h>

#include <algorithm>

#include "base/nearest.h"
#include "operations/operation.h"

namespace pocket::operations {
namespace {

std::vector<Operation> collect() {
  std::vector<Operation> operations;
  for (auto part :
       {arithmetic_operations, layout_operations, picture_operations, selection_operations}) {
    for (auto& operation : part()) operations.push_back(std::move(operation));
  }
  std::sort(operations.begin(), operations.end(),
            [](const Operation& a, const Operation& b) { return a.name < b.name; });
  return operations;
}

Result<void> check(const Operation& operation, size_t inputs, const Parameters& parameters) {
  if (inputs != operation.inputs) {
    return Error{POCKET_INVALID_ARGUMENT, fmt::format("{}: it takes {} tensors, {} were given",
                                                      operation.name, operation.inputs, inputs)};
  }
  if (auto known = parameters.refuse_unknown(operation.parameters); !known.ok()) {
    return std::move(known).error().with_context(std::string(operation.name));
  }
  return ok_result();
}

}  // namespace

std::span<const Operation> all_operations() {
  static const std::vector<Operation> operations = collect();
  return operations;
}

Result<const Operation*> find_operation(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& operation : all_operations()) {
    if (operation.name == name) return &operation;
    known.push_back(operation.name);
  }
  const std::string nearest = nearest_word(name, known);
  return Error{POCKET_INVALID_ARGUMENT,
               fmt::format("there is no operation '{}'{}", name,
                           nearest.empty() ? "" : "; did you mean '" + nearest + "'?")};
}

Result<std::vector<Tensor>> run_operation(const Operation& operation,
                                          std::span<const Tensor> inputs,
                                          const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check(operation, inputs.size(), parameters));
  auto outputs = operation.run(inputs, parameters);
  if (outputs.ok()) return outputs;
  return std::move(outputs).error().with_context(std::string(operation.name));
}

Result<std::vector<Spec>> infer_operation(const Operation& operation, std::span<const Spec> inputs,
                                          const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check(operation, inputs.size(), parameters));
  auto outputs = operation.infer(inputs, parameters);
  if (outputs.ok()) return outputs;
  return std::move(outputs).error().with_context(std::string(operation.name));
}

}  // namespace pocket::operations
