// Entering the sandbox: what a runner does to itself before it loads an engine, and after.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/file_tree.h"
#include "sandbox/settings.h"

namespace pocket::sandbox {

struct Entry {
  Settings settings;
  std::vector<std::string> plugins;  // of the engines; their libraries stay visible
  FileTree tree;                     // beside these
};

/// Everything but the system calls, in the order that lets each step do its work; one thread,
/// before any code of an engine runs. What the host does not give is noted in the report. An error:
/// a step failed half way, or something required is missing, and the process should end.
Result<void> enter(const Entry& entry, Report& report);

}  // namespace pocket::sandbox
