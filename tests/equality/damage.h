// Ways to damage a file, always the same for the same file.
#pragma once

#include <string>
#include <vector>

namespace pocket::equality {

struct Damage {
  std::string name;      // "cut-0", "cut-half", "flip-3", "missing", ...
  bool must_fail;        // no engine can make sense of what is left
  bool missing = false;  // the file is not there at all
  std::string bytes;     // what the file then holds
};

/// The file cut off at several lengths, and with bytes changed at random places. `is_model`: the
/// model's own file rather than one beside it, which can also be missing.
std::vector<Damage> damages_of(const std::string& bytes, bool is_model);

}  // namespace pocket::equality
