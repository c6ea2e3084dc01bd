// Where the log of pocketd and of runners goes, and in which form. Lines are
// made by spdlog.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::log {

struct Settings {
  std::string program = {};    // as lines name it
  std::string level = "info";  // debug, info, warning or error
  bool json = false;           // one object a line
  std::string file = {};       // appended to; empty: standard error
  uint64_t rotate_bytes = 0;   // at this size it becomes NAME.1.EXT, one older file; 0: never
  int process = 0;  // its number, where lines of several are mixed; 0: text lines name none
};

/// A log whose file is open and that is not in use yet. Move-only.
class Prepared {
 public:
  /// Puts it in force for the whole process. Any thread.
  void apply() &&;

 private:
  friend Result<Prepared> prepare(const Settings& settings);
  Settings settings_;
  UniqueFd file_;
};

/// Opens the file anew. A file that cannot be opened is told with its name;
/// nothing has changed then.
Result<Prepared> prepare(const Settings& settings);

/// prepare() and apply().
Result<void> set_up(const Settings& settings);

}  // namespace pocket::log
