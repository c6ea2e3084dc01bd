#include "operations/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/nearest.h"
#include "pocket/dtype.h"

namespace pocket::operations {
namespace {

Error wrong(const std::string& name, const std::string& wanted) {
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("parameter '{}' must be {}", name, wanted)};
}

Error missing(const std::string& name) {
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("parameter '{}' is missing", name)};
}

}  // namespace

Result<int64_t> Parameters::whole(const std::string& name, std::optional<int64_t> fallback,
                                  int64_t least, int64_t most) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    if (fallback) return *fallback;
    return missing(name);
  }
  const auto* value = std::get_if<int64_t>(&found->second);
  if (value == nullptr || *value < least || *value > most) {
    return wrong(name, fmt::format("a whole number from {} to {}", least, most));
  }
  return *value;
}

Result<double> Parameters::number(const std::string& name, std::optional<double> fallback,
                                  double least, double most) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    if (fallback) return *fallback;
    return missing(name);
  }
  const auto* whole = std::get_if<int64_t>(&found->second);
  const auto* real = std::get_if<double>(&found->second);
  const double value = whole != nullptr ? static_cast<double>(*whole) : real != nullptr ? *real : 0;
  if ((whole == nullptr && real == nullptr) || !(value >= least && value <= most)) {
    return wrong(name, fmt::format("a number from {} to {}", least, most));
  }
  return value;
}

Result<std::string> Parameters::word(const std::string& name,
                                     std::span<const std::string_view> known) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::string(known.front());
  const auto* value = std::get_if<std::string>(&found->second);
  if (value == nullptr || std::find(known.begin(), known.end(), *value) == known.end()) {
    return wrong(name, fmt::format("one of {}", fmt::join(known, ", ")));
  }
  return *value;
}

Result<std::vector<int64_t>> Parameters::wholes(
    const std::string& name, std::optional<std::vector<int64_t>> fallback) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    if (fallback) return *fallback;
    return missing(name);
  }
  if (const auto* value = std::get_if<std::vector<int64_t>>(&found->second)) return *value;
  return wrong(name, "a list of whole numbers");
}

Result<std::vector<double>> Parameters::numbers(const std::string& name,
                                                std::optional<std::vector<double>> fallback) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    if (fallback) return *fallback;
    return missing(name);
  }
  if (const auto* value = std::get_if<std::vector<double>>(&found->second)) return *value;
  if (const auto* value = std::get_if<std::vector<int64_t>>(&found->second)) {
    return std::vector<double>(value->begin(), value->end());
  }
  return wrong(name, "a list of numbers");
}

Result<int32_t> Parameters::dtype(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return missing(name);
  const auto* text = std::get_if<std::string>(&found->second);
  for (int32_t dtype = 1; text != nullptr && dtype <= POCKET_BFLOAT16; ++dtype) {
    if (pocket_dtype_size(dtype) > 0 && *text == pocket_dtype_name(dtype)) return dtype;
  }
  return wrong(name, "the name of a type, e.g. float32");
}

Result<void> Parameters::refuse_unknown(std::span<const std::string_view> known) const {
  for (const auto& [name, value] : values_) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string nearest = nearest_word(name, known);
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("unknown parameter '{}'{}; there are: {}", name,
                             nearest.empty() ? "" : "; did you mean '" + nearest + "'?",
                             known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")))};
  }
  return ok_result();
}

}  // namespace pocket::operations
