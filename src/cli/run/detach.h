// A process in the background that goes on after the command has returned.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::cli {

/// In the background: reports once, then goes on without a terminal.
class Background {
 public:
  /// `text` is what the command prints; or why it failed.
  void report(const Result<std::string>& text);

 private:
  friend Result<std::string> in_background(const std::string& log,
                                           const std::function<void(Background&, int)>& work);
  explicit Background(UniqueFd told) : told_(std::move(told)) {}
  UniqueFd told_;
};

/// Runs `work` in a process of its own session, whose parent is init, and returns what it reports.
/// `work` gets the descriptor its programs shall write to: `log`, opened for appending, or
/// /dev/null. The background process ends when `work` returns.
Result<std::string> in_background(const std::string& log,
                                  const std::function<void(Background&, int)>& work);

}  // namespace pocket::cli
