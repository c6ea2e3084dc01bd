#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "model/repository.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

// All of it travels in one control message of at most 192 KiB, with the model's tensors.
constexpr uintmax_t kMostBytes = 160 * 1024;
constexpr uintmax_t kBytesOfAnEntry = 64;  // what the message needs beside the texts

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
  if (fs::file_size(path, error) > kMostBytes) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("'{}' is larger than {} bytes", path.string(), kMostBytes)};
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
  uintmax_t bytes = 0;
  for (const auto& [key, value] : metadata) bytes += key.size() + value.size() + kBytesOfAnEntry;
  if (bytes > kMostBytes) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("model '{}' has {} bytes of metadata with its labels, the most is {}: "
                             "shorten them in model.toml",
                             source.name, bytes, kMostBytes)};
  }
  return metadata;
}

}  // namespace pocket::model
