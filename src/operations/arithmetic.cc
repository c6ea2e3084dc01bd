// Numbers: add, subtract, multiply, divide, sigmoid, softmax, cast.
#include <cmath>
#include <limits>
#include <type_traits>

#include "operations/common.h"

namespace pocket::operations {
namespace {

// ---- two tensors, of the same shape, or one of them a single number

Result<std::vector<Spec>> infer_pair(std::span<const Spec> inputs, const Parameters&) {
  for (const auto& input : inputs)
    POCKET_RETURN_IF_ERROR(check_dtype(input, POCKET_NUMBERS, "input"));
  const Spec& a = inputs[0];
  const Spec& b = inputs[1];
  if (a.dtype != b.dtype && a.dtype != POCKET_DTYPE_UNDEFINED &&
      b.dtype != POCKET_DTYPE_UNDEFINED) {
    return invalid(fmt::format("the inputs are {} and {}: cast one", pocket_dtype_name(a.dtype),
                               pocket_dtype_name(b.dtype)));
  }
  Spec result = a;
  if (result.dtype == POCKET_DTYPE_UNDEFINED) result.dtype = b.dtype;
  const auto single = [](const Spec& spec) {
    return !spec.any_rank && std::all_of(spec.shape.begin(), spec.shape.end(),
                                         [](int64_t size) { return size == 1; });
  };
  if (single(b)) return std::vector{result};
  if (single(a)) {
    result.shape = b.shape;
    result.any_rank = b.any_rank;
    return std::vector{result};
  }
  if (!may_fit({POCKET_DTYPE_UNDEFINED, a.any_rank, a.shape},
               {POCKET_DTYPE_UNDEFINED, b.any_rank, b.shape})) {
    return invalid(fmt::format("{} and {} have neither the same shape nor is one a single number",
                               spec_text(a), spec_text(b)));
  }
  // What one of the two does not say, the other may.
  if (a.any_rank) {
    result.any_rank = b.any_rank;
    result.shape = b.shape;
  } else if (!b.any_rank) {
    for (size_t axis = 0; axis < a.shape.size(); ++axis) {
      if (a.shape[axis] < 0) result.shape[axis] = b.shape[axis];
    }
  }
  return std::vector{result};
}

enum class Pair { kAdd, kSubtract, kMultiply, kDivide };

/// Whole numbers wrap around as unsigned ones do; a division by zero was refused before.
template <Pair kind, typename T>
T combine(T a, T b) {
  if constexpr (kind == Pair::kDivide) {
    if constexpr (std::is_signed_v<T> && std::is_integral_v<T>) {
      if (b == -1) return static_cast<T>(0U - static_cast<std::make_unsigned_t<T>>(a));
    }
    return static_cast<T>(a / b);
  } else if constexpr (std::is_integral_v<T>) {
    // Wide enough that small types are not promoted to int, whose overflow is undefined.
    const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
    return static_cast<T>(kind == Pair::kAdd ? x + y : kind == Pair::kSubtract ? x - y : x * y);
  } else {
    return kind == Pair::kAdd ? a + b : kind == Pair::kSubtract ? a - b : a * b;
  }
}

template <Pair kind>
Result<std::vector<Tensor>> run_pair(std::span<const Tensor> inputs, const Parameters& parameters) {
  const Spec specs[] = {inputs[0].spec(), inputs[1].spec()};
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_pair(specs, parameters));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(wanted[0].dtype, wanted[0].shape));
  return with_type(result.dtype, [&](auto type) -> Result<std::vector<Tensor>> {
    using T = decltype(type);
    const T* a = inputs[0].values<T>();
    const T* b = inputs[1].values<T>();
    const uint64_t count = result.count();
    const size_t step_a = inputs[0].count() == count ? 1 : 0;
    const size_t step_b = inputs[1].count() == count ? 1 : 0;
    if (kind == Pair::kDivide && std::is_integral_v<T> &&
        std::find(b, b + inputs[1].count(), T{0}) != b + inputs[1].count()) {
      return invalid("a whole number is divided by 0");
    }
    T* out = result.values<T>();
    for (uint64_t index = 0; index < count; ++index) {
      out[index] = combine<kind>(a[index * step_a], b[index * step_b]);
    }
    return one(std::move(result));
  });
}

// ---- one tensor of floats

Result<std::vector<Spec>> infer_same_float(std::span<const Spec> inputs, const Parameters&) {
  POCKET_RETURN_IF_ERROR(check_dtype(inputs[0], {POCKET_FLOAT32, POCKET_FLOAT64}, "input"));
  return std::vector<Spec>{inputs[0]};
}

Result<std::vector<Tensor>> run_sigmoid(std::span<const Tensor> inputs, const Parameters&) {
  const Spec spec = inputs[0].spec();
  POCKET_RETURN_IF_ERROR(infer_same_float({&spec, 1}, {}));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(spec.dtype, spec.shape));
  return with_type(result.dtype, [&](auto type) -> Result<std::vector<Tensor>> {
    using T = decltype(type);
    const T* in = inputs[0].values<T>();
    T* out = result.values<T>();
    for (uint64_t index = 0; index < result.count(); ++index) {
      out[index] = static_cast<T>(1 / (1 + std::exp(-static_cast<double>(in[index]))));
    }
    return one(std::move(result));
  });
}

Result<std::vector<Spec>> infer_softmax(std::span<const Spec> inputs,
                                        const Parameters& parameters) {
  POCKET_ASSIGN_OR_RETURN(const int64_t axis,
                          parameters.whole("axis", -1, -POCKET_MAX_RANK, POCKET_MAX_RANK - 1));
  if (!inputs[0].any_rank) POCKET_RETURN_IF_ERROR(find_axis(axis, inputs[0].shape.size()));
  return infer_same_float(inputs, parameters);
}

Result<std::vector<Tensor>> run_softmax(std::span<const Tensor> inputs,
                                        const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_RETURN_IF_ERROR(infer_softmax({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(const int64_t named,
                          parameters.whole("axis", -1, -POCKET_MAX_RANK, POCKET_MAX_RANK - 1));
  POCKET_ASSIGN_OR_RETURN(const size_t axis, find_axis(named, spec.shape.size()));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(spec.dtype, spec.shape));
  const Around around = around_axis(spec.shape, axis);
  return with_type(result.dtype, [&](auto type) -> Result<std::vector<Tensor>> {
    using T = decltype(type);
    for (uint64_t outer = 0; outer < around.outer; ++outer) {
      for (uint64_t inner = 0; inner < around.inner; ++inner) {
        const uint64_t first = outer * around.size * around.inner + inner;
        const T* in = inputs[0].values<T>() + first;
        T* out = result.values<T>() + first;
        double most = -std::numeric_limits<double>::infinity(), sum = 0;
        for (uint64_t row = 0; row < around.size; ++row) {
          most = std::max(most, static_cast<double>(in[row * around.inner]));
        }
        for (uint64_t row = 0; row < around.size; ++row) {
          sum += std::exp(static_cast<double>(in[row * around.inner]) - most);
        }
        for (uint64_t row = 0; row < around.size; ++row) {
          const double value = std::exp(static_cast<double>(in[row * around.inner]) - most) / sum;
          out[row * around.inner] = static_cast<T>(value);
        }
      }
    }
    return one(std::move(result));
  });
}

// ---- cast

Result<std::vector<Spec>> infer_cast(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_dtype(inputs[0], POCKET_NUMBERS, "input"));
  Spec result = inputs[0];
  POCKET_ASSIGN_OR_RETURN(result.dtype, parameters.dtype("dtype"));
  POCKET_RETURN_IF_ERROR(check_dtype(result, POCKET_NUMBERS, "wanted type"));
  return std::vector{result};
}

/// The nearest value that the type has; what is no number becomes 0 as a whole one.
template <typename To, typename From>
To converted(From value) {
  if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    constexpr auto kLeast = std::numeric_limits<To>::min(), kMost = std::numeric_limits<To>::max();
    if (std::isnan(value)) return 0;
    if (static_cast<long double>(value) <= static_cast<long double>(kLeast)) return kLeast;
    if (static_cast<long double>(value) >= static_cast<long double>(kMost)) return kMost;
  }
  return static_cast<To>(value);
}

Result<std::vector<Tensor>> run_cast(std::span<const Tensor> inputs, const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_cast({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(wanted[0].dtype, spec.shape));
  return with_type(spec.dtype, [&](auto from) -> Result<std::vector<Tensor>> {
    return with_type(result.dtype, [&](auto to) -> Result<std::vector<Tensor>> {
      using From = decltype(from);
      using To = decltype(to);
      const From* in = inputs[0].values<From>();
      To* out = result.values<To>();
      for (uint64_t index = 0; index < result.count(); ++index)
        out[index] = converted<To>(in[index]);
      return one(std::move(result));
    });
  });
}

}  // namespace

std::vector<Operation> arithmetic_operations() {
  return {
      {"add", 2, 1, {}, infer_pair, run_pair<Pair::kAdd>},
      {"cast", 1, 1, {"dtype"}, infer_cast, run_cast},
      {"divide", 2, 1, {}, infer_pair, run_pair<Pair::kDivide>},
      {"multiply", 2, 1, {}, infer_pair, run_pair<Pair::kMultiply>},
      {"sigmoid", 1, 1, {}, infer_same_float, run_sigmoid},
      {"softmax", 1, 1, {"axis"}, infer_softmax, run_softmax},
      {"subtract", 2, 1, {}, infer_pair, run_pair<Pair::kSubtract>},
  };
}

}  // namespace pocket::operations
