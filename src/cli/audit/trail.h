// The audit trail (docs/operations.md) as a file that is read while pocketd writes it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::cli {

/// What a line says, whichever form it has; none where it is no line of a trail.
std::optional<nlohmann::json> parse_trail_line(std::string_view line);
/// A record for people, on one line. What clients have a say in cannot move a terminal's cursor.
std::string trail_text(const nlohmann::json& record);

/// One thread.
class Trail {
 public:
  using Records = std::vector<nlohmann::json>;
  using Wanted = std::function<bool(const nlohmann::json& record)>;

  static Result<Trail> open(const std::string& path);

  /// The newest `most` records that are wanted, the oldest of them first. Reads from the end, so
  /// that a long file costs nothing.
  Result<Records> newest(size_t most, const Wanted& wanted);
  /// What has come since newest() or next(). A file that was moved away is read to its end, then
  /// the one that has its name.
  Result<Records> next(const Wanted& wanted);

 private:
  explicit Trail(std::string path) : path_(std::move(path)) {}
  Result<void> open_file();
  Result<Records> rest(const Wanted& wanted);

  std::string path_;
  UniqueFd file_;
  uint64_t read_ = 0;  // bytes, whole lines
};

}  // namespace pocket::cli
