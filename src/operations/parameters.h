// What an operation is told beside its tensors: named, typed, checked values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace pocket::operations {

using Parameter =
    std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

/// Values by name. Functions fail with INVALID_ARGUMENT, which names the parameter and what it must
/// be. A whole number may stand where a number is wanted.
class Parameters {
 public:
  void set(const std::string& name, Parameter value) { values_[name] = std::move(value); }
  bool has(const std::string& name) const { return values_.count(name) > 0; }

  Result<int64_t> whole(const std::string& name, std::optional<int64_t> fallback, int64_t least,
                        int64_t most) const;
  Result<double> number(const std::string& name, std::optional<double> fallback, double least,
                        double most) const;
  /// One of `known`; the first of them is the fallback.
  Result<std::string> word(const std::string& name, std::span<const std::string_view> known) const;
  Result<std::vector<int64_t>> wholes(const std::string& name,
                                      std::optional<std::vector<int64_t>> fallback) const;
  Result<std::vector<double>> numbers(const std::string& name,
                                      std::optional<std::vector<double>> fallback) const;
  /// A NumPy name of a fixed-size type.
  Result<int32_t> dtype(const std::string& name) const;

  /// Fails for a name that is none of `known`, with the nearest one.
  Result<void> refuse_unknown(std::span<const std::string_view> known) const;

 private:
  std::map<std::string, Parameter> values_;
};

}  // namespace pocket::operations
