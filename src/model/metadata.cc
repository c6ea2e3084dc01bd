#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "model/repository.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMostLabelBytes = 128 * 1024;  // it must fit in one control message

Result<std::string> read_labels(const ModelSource& source) {
  const fs::path name = source.manifest.labels;
  const fs::path path = fs::path(source.folder).parent_path() / name;
  if (name.is_absolute() || name.has_parent_path()) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("labels = '{}' must be a file in the model's folder", name.string())};
  }
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return Error{POCKET_NOT_FOUND, fmt::format("there is no file '{}'", path.string())};
  }
  if (fs::file_size(path, error) > kMostLabelBytes) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("'{}' is larger than {} bytes", path.string(), kMostLabelBytes)};
  }
  std::ifstream file(path);
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> read_metadata(const ModelSource& source) {
  const Manifest& manifest = source.manifest;
  std::vector<std::pair<std::string, std::string>> metadata;
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) metadata.emplace_back(key, value);
  };
  add("description", manifest.description);
  add("licence", manifest.licence);
  add("source", manifest.source);
  if (!manifest.labels.empty()) {
    POCKET_ASSIGN_OR_RETURN(const std::string labels, read_labels(source));
    add("labels", labels);
  }
  metadata.insert(metadata.end(), manifest.metadata.begin(), manifest.metadata.end());
  return metadata;
}

}  // namespace pocket::model
