// Where values lie: constant, shape, reshape, slice, transpose, gather.
#include <cstring>
#include <numeric>
#include <type_traits>

#include "base/checked.h"
#include "operations/common.h"

namespace pocket::operations {
namespace {

using Shape = std::vector<int64_t>;

Result<void> check_carried(const Spec& spec) {
  if (spec.dtype != POCKET_STRING) return ok_result();
  return invalid("strings are not moved by this operation");
}

bool known(const Spec& spec) { return !spec.any_rank && element_count(spec.shape).has_value(); }

// ---- constant

Result<std::vector<Spec>> infer_constant(std::span<const Spec>, const Parameters& parameters) {
  Spec result;
  POCKET_ASSIGN_OR_RETURN(result.dtype, parameters.dtype("dtype"));
  POCKET_RETURN_IF_ERROR(check_dtype(result, POCKET_NUMBERS, "wanted type"));
  POCKET_ASSIGN_OR_RETURN(const auto values, parameters.numbers("values", std::nullopt));
  POCKET_ASSIGN_OR_RETURN(result.shape,
                          parameters.wholes("shape", Shape{static_cast<int64_t>(values.size())}));
  const auto count = element_count(result.shape);
  if (result.shape.size() > POCKET_MAX_RANK || !count ||
      (values.size() != 1 && values.size() != *count)) {
    return invalid(fmt::format("{} values do not fill {}: one fills every shape", values.size(),
                               spec_text(result)));
  }
  return std::vector{result};
}

Result<std::vector<Tensor>> run_constant(std::span<const Tensor>, const Parameters& parameters) {
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_constant({}, parameters));
  POCKET_ASSIGN_OR_RETURN(const auto values, parameters.numbers("values", std::nullopt));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(wanted[0].dtype, wanted[0].shape));
  return with_type(result.dtype, [&](auto type) -> Result<std::vector<Tensor>> {
    using T = decltype(type);
    for (uint64_t index = 0; index < result.count(); ++index) {
      const double value = values[values.size() == 1 ? 0 : index];
      if constexpr (std::is_integral_v<T>) {
        // 2^63 and beyond are exact only as the limits themselves, so the upper one is left out.
        const bool fits =
            value >= static_cast<double>(std::numeric_limits<T>::min()) &&
            (sizeof(T) < 8 ? value <= static_cast<double>(std::numeric_limits<T>::max())
                           : value < static_cast<double>(std::numeric_limits<T>::max()));
        if (!fits) {
          return invalid(fmt::format("{} is no {}", value, pocket_dtype_name(result.dtype)));
        }
      }
      result.values<T>()[index] = static_cast<T>(value);
    }
    return one(std::move(result));
  });
}

// ---- shape

Result<std::vector<Spec>> infer_shape(std::span<const Spec> inputs, const Parameters&) {
  const int64_t rank = inputs[0].any_rank ? -1 : static_cast<int64_t>(inputs[0].shape.size());
  return std::vector<Spec>{{POCKET_INT64, false, {rank}}};
}

Result<std::vector<Tensor>> run_shape(std::span<const Tensor> inputs, const Parameters&) {
  const int64_t shape[] = {inputs[0].rank};
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(POCKET_INT64, shape));
  std::copy_n(inputs[0].shape, inputs[0].rank, result.values<int64_t>());
  return one(std::move(result));
}

// ---- reshape

Result<std::vector<Spec>> infer_reshape(std::span<const Spec> inputs,
                                        const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_carried(inputs[0]));
  Spec result{inputs[0].dtype, false, {}};
  POCKET_ASSIGN_OR_RETURN(result.shape, parameters.wholes("shape", std::nullopt));
  const auto open = std::count(result.shape.begin(), result.shape.end(), -1);
  if (result.shape.size() > POCKET_MAX_RANK || open > 1 ||
      std::any_of(result.shape.begin(), result.shape.end(),
                  [](int64_t size) { return size < -1; })) {
    return invalid(fmt::format(
        "parameter 'shape' must have at most {} sizes, one of them -1 at most", POCKET_MAX_RANK));
  }
  if (!known(inputs[0])) return std::vector{result};
  const uint64_t count = *element_count(inputs[0].shape);
  Shape rest = result.shape;
  std::replace(rest.begin(), rest.end(), int64_t{-1}, int64_t{1});
  const auto others = element_count(rest);
  const bool fits = others && (open == 0 ? *others == count : *others > 0 && count % *others == 0);
  if (!fits) {
    return invalid(fmt::format("{} has {} elements, which do not fill {}", spec_text(inputs[0]),
                               count, spec_text(result)));
  }
  if (open == 1) {
    std::replace(result.shape.begin(), result.shape.end(), int64_t{-1},
                 static_cast<int64_t>(count / *others));
  }
  return std::vector{result};
}

Result<std::vector<Tensor>> run_reshape(std::span<const Tensor> inputs,
                                        const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_reshape({&spec, 1}, parameters));
  Tensor result = inputs[0];  // the same values, seen otherwise
  result.rank = static_cast<int32_t>(wanted[0].shape.size());
  std::copy(wanted[0].shape.begin(), wanted[0].shape.end(), result.shape);
  return one(std::move(result));
}

// ---- slice: begin and size, as TensorFlow has it; a size of -1 goes to the end

Result<std::vector<Spec>> infer_slice(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_carried(inputs[0]));
  POCKET_ASSIGN_OR_RETURN(const Shape begin, parameters.wholes("begin", std::nullopt));
  POCKET_ASSIGN_OR_RETURN(const Shape size, parameters.wholes("size", std::nullopt));
  const size_t rank = inputs[0].any_rank ? begin.size() : inputs[0].shape.size();
  if (begin.size() != rank || size.size() != rank || rank > POCKET_MAX_RANK) {
    return invalid(fmt::format("a slice of {} needs {} numbers in 'begin' and in 'size'",
                               spec_text(inputs[0]), rank));
  }
  Spec result{inputs[0].dtype, false, Shape(rank, -1)};
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t whole = inputs[0].any_rank ? -1 : inputs[0].shape[axis];
    const bool inside = begin[axis] >= 0 && size[axis] >= -1 &&
                        (whole < 0 || (begin[axis] <= whole &&
                                       (size[axis] < 0 || size[axis] <= whole - begin[axis])));
    if (!inside) {
      return invalid(fmt::format("{} elements from {} on are not inside axis {} of {}", size[axis],
                                 begin[axis], axis, spec_text(inputs[0])));
    }
    result.shape[axis] = size[axis] >= 0 ? size[axis] : whole < 0 ? -1 : whole - begin[axis];
  }
  return std::vector{result};
}

/// Copies elements of `bytes` each: element `index` of the result, in its order, comes from
/// start + sum of index[axis] * steps[axis].
void gather_elements(const Tensor& from, uint64_t start, std::span<const uint64_t> steps,
                     size_t bytes, Tensor& to) {
  std::vector<int64_t> index(static_cast<size_t>(to.rank), 0);
  const auto* in = from.values<std::byte>();
  auto* out = to.values<std::byte>();
  uint64_t place = start;
  for (uint64_t count = to.count(); count > 0; --count, out += bytes) {
    std::memcpy(out, in + place * bytes, bytes);
    for (size_t axis = index.size(); axis-- > 0;) {
      place += steps[axis];
      if (++index[axis] < to.shape[axis]) break;
      place -= steps[axis] * static_cast<uint64_t>(to.shape[axis]);
      index[axis] = 0;
    }
  }
}

std::vector<uint64_t> steps_of(std::span<const int64_t> shape) {
  std::vector<uint64_t> steps(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) {
    steps[axis - 1] = steps[axis] * static_cast<uint64_t>(shape[axis]);
  }
  return steps;
}

Result<std::vector<Tensor>> run_slice(std::span<const Tensor> inputs,
                                      const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_slice({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(const Shape begin, parameters.wholes("begin", std::nullopt));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(spec.dtype, wanted[0].shape));
  const auto steps = steps_of(spec.shape);
  uint64_t start = 0;
  for (size_t axis = 0; axis < begin.size(); ++axis) {
    start += steps[axis] * static_cast<uint64_t>(begin[axis]);
  }
  if (result.count() > 0) {
    gather_elements(inputs[0], start, steps, pocket_dtype_size(spec.dtype), result);
  }
  return one(std::move(result));
}

// ---- transpose

Result<std::vector<Spec>> infer_transpose(std::span<const Spec> inputs,
                                          const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_carried(inputs[0]));
  POCKET_ASSIGN_OR_RETURN(const Shape axes, parameters.wholes("axes", std::nullopt));
  Shape sorted = axes, all(axes.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  const size_t rank = inputs[0].any_rank ? axes.size() : inputs[0].shape.size();
  if (sorted != all || axes.size() != rank || rank > POCKET_MAX_RANK) {
    return invalid(fmt::format("'axes' must name each axis of {} once", spec_text(inputs[0])));
  }
  Spec result{inputs[0].dtype, false, Shape(rank, -1)};
  for (size_t axis = 0; axis < rank && !inputs[0].any_rank; ++axis) {
    result.shape[axis] = inputs[0].shape[static_cast<size_t>(axes[axis])];
  }
  return std::vector{result};
}

Result<std::vector<Tensor>> run_transpose(std::span<const Tensor> inputs,
                                          const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_transpose({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(const Shape axes, parameters.wholes("axes", std::nullopt));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(spec.dtype, wanted[0].shape));
  const auto steps = steps_of(spec.shape);
  std::vector<uint64_t> moved;
  for (const int64_t axis : axes) moved.push_back(steps[static_cast<size_t>(axis)]);
  gather_elements(inputs[0], 0, moved, pocket_dtype_size(spec.dtype), result);
  return one(std::move(result));
}

// ---- gather: rows of the first axis, by number

Result<std::vector<Spec>> infer_gather(std::span<const Spec> inputs, const Parameters&) {
  POCKET_RETURN_IF_ERROR(check_carried(inputs[0]));
  POCKET_RETURN_IF_ERROR(check_dtype(inputs[1], {POCKET_INT64}, "second input"));
  if ((!inputs[0].any_rank && inputs[0].shape.empty()) ||
      (!inputs[1].any_rank && inputs[1].shape.size() != 1)) {
    return invalid(
        "rows are gathered from a tensor of at least one dimension, by a list of numbers");
  }
  Spec result = inputs[0];
  if (!result.any_rank) result.shape[0] = inputs[1].any_rank ? -1 : inputs[1].shape[0];
  return std::vector{result};
}

Result<std::vector<Tensor>> run_gather(std::span<const Tensor> inputs,
                                       const Parameters& parameters) {
  const Spec specs[] = {inputs[0].spec(), inputs[1].spec()};
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_gather(specs, parameters));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(specs[0].dtype, wanted[0].shape));
  const auto* rows = inputs[1].values<int64_t>();
  const Around around = around_axis(specs[0].shape, 0);
  const size_t bytes = around.inner * pocket_dtype_size(specs[0].dtype);
  for (uint64_t index = 0; index < inputs[1].count(); ++index) {
    if (rows[index] < 0 || static_cast<uint64_t>(rows[index]) >= around.size) {
      return invalid(fmt::format("there is no row {} in {}", rows[index], spec_text(specs[0])));
    }
    std::memcpy(result.values<std::byte>() + index * bytes,
                inputs[0].values<std::byte>() + static_cast<uint64_t>(rows[index]) * bytes, bytes);
  }
  return one(std::move(result));
}

}  // namespace

std::vector<Operation> layout_operations() {
  return {
      {"constant", 0, 1, {"dtype", "shape", "values"}, infer_constant, run_constant},
      {"gather", 2, 1, {}, infer_gather, run_gather},
      {"reshape", 1, 1, {"shape"}, infer_reshape, run_reshape},
      {"shape", 1, 1, {}, infer_shape, run_shape},
      {"slice", 1, 1, {"begin", "size"}, infer_slice, run_slice},
      {"transpose", 1, 1, {"axes"}, infer_transpose, run_transpose},
  };
}

}  // namespace pocket::operations
