// Operations on tensors that need no model: what handlers and pipelines put between models.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "operations/parameters.h"
#include "tensor/tensor.h"

namespace pocket::operations {

using tensor::may_fit;
using tensor::Spec;
using tensor::spec_text;
using tensor::Tensor;

/// Constant, any thread. Nothing is evaluated from text; every shape, type, bound and size is
/// checked, and what is made is at most tensor::kMostBytes.
struct Operation {
  std::string_view name;
  size_t inputs;   // exactly
  size_t outputs;  // exactly
  std::vector<std::string_view> parameters;
  /// What the outputs will be, as far as it is known; INVALID_ARGUMENT when inputs like these, or
  /// the parameters, cannot be.
  Result<std::vector<Spec>> (*infer)(std::span<const Spec> inputs, const Parameters& parameters);
  /// The outputs. Inputs were not checked before. They are not changed, and may be shared.
  Result<std::vector<Tensor>> (*run)(std::span<const Tensor> inputs, const Parameters& parameters);
};

/// Every operation, sorted by name.
std::span<const Operation> all_operations();
/// INVALID_ARGUMENT names the nearest one.
Result<const Operation*> find_operation(std::string_view name);

/// Checks the number of inputs and the names of parameters, then runs it. The error names it.
Result<std::vector<Tensor>> run_operation(const Operation& operation,
                                          std::span<const Tensor> inputs,
                                          const Parameters& parameters);
Result<std::vector<Spec>> infer_operation(const Operation& operation, std::span<const Spec> inputs,
                                          const Parameters& parameters);

// The rooms' files; all_operations() joins them.
std::vector<Operation> arithmetic_operations();
std::vector<Operation> layout_operations();
std::vector<Operation> picture_operations();
std::vector<Operation> selection_operations();

}  // namespace pocket::operations
