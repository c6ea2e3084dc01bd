// The best ones: argmax, top_k, and boxes that do not overlap (nms).
#include <cmath>
#include <numeric>

#include "operations/common.h"

namespace pocket::operations {
namespace {

constexpr int64_t kMostChosen = 1 << 20;
constexpr int64_t kMostBoxes = 1 << 14;

Result<int64_t> axis_of(const Parameters& parameters) {
  return parameters.whole("axis", -1, -POCKET_MAX_RANK, POCKET_MAX_RANK - 1);
}

Result<std::vector<Spec>> infer_argmax(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_dtype(inputs[0], POCKET_NUMBERS, "input"));
  POCKET_ASSIGN_OR_RETURN(const int64_t named, axis_of(parameters));
  Spec result{POCKET_INT64, inputs[0].any_rank, inputs[0].shape};
  if (result.any_rank) return std::vector{result};
  POCKET_ASSIGN_OR_RETURN(const size_t axis, find_axis(named, result.shape.size()));
  if (result.shape[axis] == 0) return invalid("there is no largest of no values");
  result.shape.erase(result.shape.begin() + static_cast<ptrdiff_t>(axis));
  return std::vector{result};
}

/// No number is never the largest.
template <typename T>
bool above(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(b)) return !std::isnan(a);
  }
  return a > b;
}

Result<std::vector<Tensor>> run_argmax(std::span<const Tensor> inputs,
                                       const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_argmax({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(const int64_t named, axis_of(parameters));
  POCKET_ASSIGN_OR_RETURN(const size_t axis, find_axis(named, spec.shape.size()));
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(POCKET_INT64, wanted[0].shape));
  const Around around = around_axis(spec.shape, axis);
  return with_type(spec.dtype, [&](auto type) -> Result<std::vector<Tensor>> {
    using T = decltype(type);
    for (uint64_t outer = 0; outer < around.outer; ++outer) {
      for (uint64_t inner = 0; inner < around.inner; ++inner) {
        const T* in = inputs[0].values<T>() + outer * around.size * around.inner + inner;
        uint64_t best = 0;
        for (uint64_t row = 1; row < around.size; ++row) {
          if (above(in[row * around.inner], in[best * around.inner])) best = row;
        }
        result.values<int64_t>()[outer * around.inner + inner] = static_cast<int64_t>(best);
      }
    }
    return one(std::move(result));
  });
}

// ---- top_k: of the last axis, the largest first; of equal ones the first

Result<std::vector<Spec>> infer_top_k(std::span<const Spec> inputs, const Parameters& parameters) {
  POCKET_RETURN_IF_ERROR(check_dtype(inputs[0], POCKET_NUMBERS, "input"));
  POCKET_ASSIGN_OR_RETURN(const int64_t k, parameters.whole("k", std::nullopt, 1, kMostChosen));
  Spec values = inputs[0];
  if (!values.any_rank) {
    if (values.shape.empty()) return invalid("a single number has no largest ones");
    if (values.shape.back() >= 0 && values.shape.back() < k) {
      return invalid(fmt::format("there are no {} largest in {}", k, spec_text(inputs[0])));
    }
    values.shape.back() = k;
  }
  Spec indices = values;
  indices.dtype = POCKET_INT64;
  return std::vector{values, indices};
}

Result<std::vector<Tensor>> run_top_k(std::span<const Tensor> inputs,
                                      const Parameters& parameters) {
  const Spec spec = inputs[0].spec();
  POCKET_ASSIGN_OR_RETURN(const auto wanted, infer_top_k({&spec, 1}, parameters));
  POCKET_ASSIGN_OR_RETURN(Tensor values, tensor::make_tensor(spec.dtype, wanted[0].shape));
  POCKET_ASSIGN_OR_RETURN(Tensor indices, tensor::make_tensor(POCKET_INT64, wanted[1].shape));
  const auto k = static_cast<uint64_t>(wanted[0].shape.back());
  const auto width = static_cast<uint64_t>(spec.shape.back());
  const uint64_t rows = inputs[0].count() / std::max<uint64_t>(width, 1);
  std::vector<int64_t> order(width);
  return with_type(spec.dtype, [&](auto type) -> Result<std::vector<Tensor>> {
    using T = decltype(type);
    // Copied: sorting by values that a client changes meanwhile would not end where it should.
    const std::vector<T> copy(inputs[0].values<T>(), inputs[0].values<T>() + rows * width);
    for (uint64_t row = 0; row < rows; ++row) {
      const T* in = copy.data() + row * width;
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(k), order.end(),
                        [in](int64_t a, int64_t b) {
                          return above(in[a], in[b]) || (!above(in[b], in[a]) && a < b);
                        });
      for (uint64_t index = 0; index < k; ++index) {
        values.values<T>()[row * k + index] = in[order[index]];
        indices.values<int64_t>()[row * k + index] = order[index];
      }
    }
    std::vector<Tensor> results = one(std::move(values));
    results.push_back(std::move(indices));
    return results;
  });
}

// ---- nms: boxes [n, 4] of corners, scores [n]; gives the rows that stay, best first

bool is_list(const Spec& spec, size_t rank, int64_t last) {
  if (spec.any_rank) return true;
  if (spec.shape.size() != rank) return false;
  return last < 0 || spec.shape.back() < 0 || spec.shape.back() == last;
}

struct Rules {
  double overlap = 0, least_score = 0;
  int64_t most = 0;
};

Result<Rules> read_rules(const Parameters& parameters) {
  Rules rules;
  POCKET_ASSIGN_OR_RETURN(rules.overlap, parameters.number("overlap", 0.5, 0, 1));
  POCKET_ASSIGN_OR_RETURN(rules.least_score, parameters.number("least_score", 0.0, -1e30, 1e30));
  POCKET_ASSIGN_OR_RETURN(rules.most, parameters.whole("most", 100, 1, kMostBoxes));
  return rules;
}

Result<std::vector<Spec>> infer_nms(std::span<const Spec> inputs, const Parameters& parameters) {
  for (const auto& input : inputs)
    POCKET_RETURN_IF_ERROR(check_dtype(input, {POCKET_FLOAT32}, "input"));
  if (!is_list(inputs[0], 2, 4) || !is_list(inputs[1], 1, -1)) {
    return invalid(fmt::format("boxes are [n, 4] and scores [n]; {} and {} were given",
                               spec_text(inputs[0]), spec_text(inputs[1])));
  }
  if (!inputs[0].any_rank && !inputs[1].any_rank && inputs[0].shape[0] >= 0 &&
      inputs[1].shape[0] >= 0 && inputs[0].shape[0] != inputs[1].shape[0]) {
    return invalid(fmt::format("{} boxes have {} scores", inputs[0].shape[0], inputs[1].shape[0]));
  }
  POCKET_RETURN_IF_ERROR(read_rules(parameters));
  return std::vector<Spec>{{POCKET_INT64, false, {-1}}};
}

double area(const float* box) {
  return std::max(0.0, static_cast<double>(box[2]) - box[0]) *
         std::max(0.0, static_cast<double>(box[3]) - box[1]);
}

/// Intersection over union of two boxes [low, low, high, high].
double overlap_of(const float* a, const float* b) {
  const double width = static_cast<double>(std::min(a[2], b[2])) - std::max(a[0], b[0]);
  const double height = static_cast<double>(std::min(a[3], b[3])) - std::max(a[1], b[1]);
  if (!(width > 0) || !(height > 0)) return 0;
  const double both = width * height;
  return both / (area(a) + area(b) - both);
}

Result<std::vector<Tensor>> run_nms(std::span<const Tensor> inputs, const Parameters& parameters) {
  const Spec specs[] = {inputs[0].spec(), inputs[1].spec()};
  POCKET_RETURN_IF_ERROR(infer_nms(specs, parameters));
  POCKET_ASSIGN_OR_RETURN(const Rules rules, read_rules(parameters));
  const float* boxes = inputs[0].values<float>();
  // Copied for the same reason as in top_k.
  const std::vector<float> scores(inputs[1].values<float>(),
                                  inputs[1].values<float>() + inputs[1].count());
  std::vector<int64_t> order;
  for (int64_t row = 0; row < specs[1].shape[0]; ++row) {
    if (scores[row] >= rules.least_score) order.push_back(row);
  }
  if (order.size() > static_cast<size_t>(kMostBoxes)) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("{} boxes reach 'least_score', at most {} are compared: raise it",
                             order.size(), kMostBoxes)};
  }
  std::stable_sort(order.begin(), order.end(),
                   [&scores](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  std::vector<int64_t> kept;
  for (const int64_t row : order) {
    if (static_cast<int64_t>(kept.size()) == rules.most) break;
    const bool apart = std::all_of(kept.begin(), kept.end(), [&](int64_t other) {
      return overlap_of(boxes + row * 4, boxes + other * 4) <= rules.overlap;
    });
    if (apart) kept.push_back(row);
  }
  const int64_t shape[] = {static_cast<int64_t>(kept.size())};
  POCKET_ASSIGN_OR_RETURN(Tensor result, tensor::make_tensor(POCKET_INT64, shape));
  std::copy(kept.begin(), kept.end(), result.values<int64_t>());
  return one(std::move(result));
}

}  // namespace

std::vector<Operation> selection_operations() {
  return {
      {"argmax", 1, 1, {"axis"}, infer_argmax, run_argmax},
      {"nms", 2, 1, {"least_score", "most", "overlap"}, infer_nms, run_nms},
      {"top_k", 1, 2, {"k"}, infer_top_k, run_top_k},
  };
}

}  // namespace pocket::operations
