// Services whose runners are protected in one way each, for `pocket bench isolation`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/local_service.h"

namespace pocket::cli {

/// Which protections a cell has: all of them or one ("network"), and which way it is switched.
struct IsolationCell {
  std::string mechanism;  // a protection's name, or "all"
  bool on = true;         // on: it alone (or all); off: all but it (or none)
};

/// "[sandbox] ..." of the cell.
std::string isolation_config(const IsolationCell& cell);

/// One service with a null model, of one cell. One thread.
class IsolationService {
 public:
  static Result<std::unique_ptr<IsolationService>> start(const IsolationCell& cell);

  const IsolationCell& cell() const { return cell_; }
  /// What protections the machine did not give, as the service says.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Milliseconds of each of `count` null calls, back to back.
  Result<std::vector<double>> calls(int count);
  /// Milliseconds from asking for the model, with no runner there, to its first answer.
  Result<double> cold_start();

 private:
  explicit IsolationService(IsolationCell cell) : cell_(std::move(cell)) {}
  Result<void> unload();

  const IsolationCell cell_;
  std::unique_ptr<LocalService> service_;
  std::vector<std::string> notes_;
};

}  // namespace pocket::cli
