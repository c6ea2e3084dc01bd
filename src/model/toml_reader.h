// Reading of checked TOML tables: every error names the file, the line, the key and what is wanted.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/nearest.h"
#include "base/result.h"
#include "base/toml.h"

namespace pocket::model {

/// Reads the keys of one table; the first error wins and later reads do nothing. One thread.
class TomlReader {
 public:
  /// `path` is for messages; both must outlive the reader.
  TomlReader(const toml::table& table, const std::string& path) : table_(table), path_(path) {}

  void refuse_unknown_keys(std::span<const std::string_view> known) {
    for (const auto& [key, node] : table_) {
      if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
      const std::string nearest = nearest_word(key.str(), known);
      fail(node, fmt::format("unknown key '{}'{}", key.str(),
                             nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
    }
  }

  /// Sets `target` when the key is there and of exactly type T; `wanted` is for the message.
  template <typename T, typename Target>
  void read(const char* key, const char* wanted, Target& target) {
    const toml::node* node = table_.get(key);
    if (node == nullptr || failed_) return;
    if (const auto value = node->value_exact<T>()) {
      target = *value;
    } else {
      fail(*node, fmt::format("'{}' must be {}", key, wanted));
    }
  }

  /// A whole number from `least` to `most`.
  template <typename Target>
  void read_count(const char* key, int64_t least, int64_t most, Target& target) {
    const toml::node* node = table_.get(key);
    if (node == nullptr || failed_) return;
    const auto value = node->value_exact<int64_t>();
    if (!value || *value < least || *value > most) {
      fail(*node, fmt::format("'{}' must be a whole number from {} to {}", key, least, most));
      return;
    }
    assign(target, *value);
  }

  /// A number of seconds, 0 or more.
  template <typename Target>
  void read_seconds(const char* key, Target& target) {
    read_number(key, "seconds", target);
  }

  /// A number of `units`, 0 or more, with or without a fraction.
  template <typename Target>
  void read_number(const char* key, const char* units, Target& target) {
    const toml::node* node = table_.get(key);
    if (node == nullptr || failed_) return;
    const auto value = node->value<double>();
    if (!value || !(*value >= 0) || *value > 1e9) {
      fail(*node, fmt::format("'{}' must be a number of {} >= 0", key, units));
      return;
    }
    target = *value;
  }

  void fail(const toml::node& node, const std::string& text) {
    if (failed_) return;
    failed_ = true;
    error_ = Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("{} line {}: {}", path_, node.source().begin.line, text)};
  }
  /// Takes over the error of a reader of an inner table.
  void adopt(const TomlReader& inner) {
    if (failed_ || !inner.failed_) return;
    failed_ = true;
    error_ = inner.error_;
  }
  Result<void> result() const { return failed_ ? Result<void>(error_) : ok_result(); }

 private:
  template <typename Number>
  static void assign(Number& target, int64_t value) {
    target = static_cast<Number>(value);
  }
  template <typename Number>
  static void assign(std::optional<Number>& target, int64_t value) {
    target = static_cast<Number>(value);
  }

  const toml::table& table_;
  const std::string& path_;
  bool failed_ = false;
  Error error_;
};

}  // namespace pocket::model
