// The lock file of a repository: what each model's files were. Layout: docs/format-lock.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::model {

struct ModelSource;

struct LockedFile {
  std::string path;  // below the version's folder
  uint64_t bytes = 0;
  std::string sha256;
};

struct LockedModel {
  std::string name;
  std::string version;
  std::string sha256;  // of the version's folder
  std::string licence;
  std::string source;
  std::vector<std::string> tools;
  std::vector<LockedFile> files;
};

/// Models by name and version.
struct Lock {
  std::vector<LockedModel> models;

  const LockedModel* find(const std::string& name, const std::string& version) const;
  /// Adds a model, or replaces its entry.
  void put(LockedModel model);
};

/// Parses a lock; INVALID_ARGUMENT names the line and the key.
Result<Lock> parse_lock(const std::string& text, const std::string& path);

/// The lock of the repository `root`; empty when it has none.
Result<Lock> read_lock(const std::string& root);

/// Writes `<root>/models.lock`, whole or not at all.
Result<void> write_lock(const std::string& root, const Lock& lock);
std::string format_lock(const Lock& lock);

/// What the model's files are now. Reads all of them.
Result<LockedModel> lock_model(const ModelSource& source, std::vector<std::string> tools);

/// One line for each way in which the model's files are not those of its entry; empty: they are.
Result<std::vector<std::string>> differences(const LockedModel& locked, const std::string& root);

}  // namespace pocket::model
