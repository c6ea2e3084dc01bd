#include <fmt/format.h>

#include <filesystem>

#include "model/digest.h"
#include "model/lock.h"
#include "model/repository.h"

namespace pocket::model {

namespace fs = std::filesystem;

Result<LockedModel> lock_model(const ModelSource& source, std::vector<std::string> tools) {
  LockedModel model;
  model.name = source.name;
  model.version = source.version;
  model.licence = source.manifest.licence;
  model.source = source.manifest.source;
  model.tools = std::move(tools);
  POCKET_ASSIGN_OR_RETURN(model.sha256, digest_folder(source.folder));
  POCKET_ASSIGN_OR_RETURN(const auto files, digest_files(source.folder));
  for (const auto& [path, file] : files) model.files.push_back({path, file.bytes, file.sha256});
  return model;
}

Result<std::vector<std::string>> differences(const LockedModel& locked, const std::string& root) {
  const std::string folder = (fs::path(root) / locked.name / locked.version).string();
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    return std::vector<std::string>{fmt::format("'{}' is missing", folder)};
  }
  POCKET_ASSIGN_OR_RETURN(auto files, digest_files(folder));
  std::vector<std::string> lines;
  for (const auto& file : locked.files) {
    const auto found = files.find(file.path);
    if (found == files.end()) {
      lines.push_back(fmt::format("'{}/{}' is missing", folder, file.path));
      continue;
    }
    if (found->second.sha256 != file.sha256) {
      lines.push_back(fmt::format("'{}/{}' has SHA-256 {} and {} bytes, the lock says {} and {}",
                                  folder, file.path, found->second.sha256, found->second.bytes,
                                  file.sha256, file.bytes));
    }
    files.erase(found);
  }
  for (const auto& [path, file] : files) {
    lines.push_back(fmt::format("'{}/{}' is not in the lock", folder, path));
  }
  if (lines.empty()) {
    // What pocketd compares: an entry whose own digest does not belong to its files.
    POCKET_ASSIGN_OR_RETURN(const std::string digest, digest_folder(folder));
    if (digest != locked.sha256) {
      lines.push_back(
          fmt::format("'{}' has digest {}, the lock says {}", folder, digest, locked.sha256));
    }
  }
  return lines;
}

}  // namespace pocket::model
