// Loading of engine plugins: shared libraries with the C interface of pocket/engine.h.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "pocket/engine.h"

namespace pocket::engine {

/// A loaded and version-checked engine plugin. Move-only. The library stays loaded for the life of
/// the process (engines start threads that outlive any unload). Any thread.
class Plugin {
 public:
  /// Loads `<engine_dir>/libpocket-engine-<name>.so`.
  /// INVALID_ARGUMENT: not a name. NOT_FOUND: no such engine; the message lists those that are
  /// there. UNIMPLEMENTED: the library cannot be loaded or lacks the entry point.
  /// VERSION_MISMATCH: it was built for another engine interface.
  static Result<Plugin> load(const std::string& engine_dir, const std::string& name);

  const pocket_engine_api& api() const { return *api_; }
  /// Whether its models can be told to use fewer threads while they are loaded.
  bool limits_threads() const;

 private:
  explicit Plugin(const pocket_engine_api* api) : api_(api) {}
  const pocket_engine_api* api_;
};

/// Plugins by name, or why one could not be loaded.
using Plugins = std::map<std::string, Result<Plugin>>;

}  // namespace pocket::engine
