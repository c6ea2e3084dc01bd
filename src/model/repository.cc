#include "model/repository.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/nearest.h"
#include "model/lock.h"

namespace pocket::model {
namespace {

namespace fs = std::filesystem;

struct Format {
  const char* file;
  const char* name;
};
constexpr Format kFormats[] = {{"model.onnx", "onnx"},       {"model.xml", "xml"},
                               {"model.tflite", "tflite"},   {"model.savedmodel", "savedmodel"},
                               {"model.handler", "handler"}, {"model.pipeline", "pipeline"},
                               {"model.null", "null"}};

/// Versions are whole numbers, as other servers have them; nullopt for any other folder name.
std::optional<uint64_t> version_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> sorted_versions(const fs::path& model) {
  std::vector<std::pair<uint64_t, std::string>> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(model, ignored)) {
    const std::string name = entry.path().filename().string();
    const auto number = version_number(name);
    if (number && entry.is_directory(ignored)) found.emplace_back(*number, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> versions;
  for (auto& [number, name] : found) versions.push_back(std::move(name));
  return versions;
}

uint64_t bytes_below(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    if (entry.is_regular_file(ignored)) bytes += entry.file_size(ignored);
  }
  return bytes;
}

Result<Manifest> read_manifest(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Manifest{};
  std::ifstream file(path);
  if (!file) {
    return Error{POCKET_PERMISSION_DENIED, fmt::format("cannot read '{}'", path.string())};
  }
  return parse_manifest({std::istreambuf_iterator<char>(file), {}}, path.string());
}

Result<ModelSource> read_version(const fs::path& root, const Result<Lock>& lock,
                                 const std::string& name, const std::string& version) {
  if (!lock.ok()) return lock.error();
  ModelSource source;
  source.name = name;
  source.version = version;
  source.folder = (root / name / version).string();
  std::error_code ignored;
  for (const Format& format : kFormats) {
    const fs::path path = fs::path(source.folder) / format.file;
    if (fs::exists(path, ignored)) {
      source.path = path.string();
      source.format = format.name;
      break;
    }
  }
  if (source.path.empty()) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("'{}' holds no model.onnx, model.xml, model.tflite, "
                             "model.savedmodel, model.handler, model.pipeline or model.null",
                             source.folder)};
  }
  source.file_bytes = bytes_below(source.folder);
  POCKET_ASSIGN_OR_RETURN(source.manifest, read_manifest(root / name / "model.toml"));
  if (const LockedModel* entry = lock->find(name, version)) source.locked_sha256 = entry->sha256;
  return source;
}

std::vector<std::string> sorted_names(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(ignored) && is_model_name(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Error unknown_model(const std::string& root, const std::string& name) {
  std::error_code ignored;
  if (!fs::is_directory(root, ignored)) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("no model '{}': the models folder '{}' is gone: put it back, or start "
                             "the service with another one (--models)",
                             name, root)};
  }
  constexpr size_t kMostNames = 20;
  const auto names = sorted_names(root);
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string nearest = nearest_word(name, known);
  const size_t shown = std::min(names.size(), kMostNames);
  return Error{
      POCKET_NOT_FOUND,
      fmt::format("no model '{}' in '{}'{}; models there: {}{}", name, root,
                  nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest),
                  names.empty() ? "none" : "",
                  fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown), ", ")) +
          (names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "")};
}

}  // namespace

bool is_model_name(const std::string& name) {
  return !name.empty() && name.size() <= 128 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

std::vector<ModelSource> Repository::list(std::vector<Error>* problems) const {
  std::vector<ModelSource> sources;
  const auto lock = read_lock(root_);
  for (const auto& name : sorted_names(root_)) {
    for (const auto& version : sorted_versions(fs::path(root_) / name)) {
      auto source = read_version(root_, lock, name, version);
      if (source.ok()) {
        sources.push_back(std::move(source).value());
      } else if (problems != nullptr) {
        problems->push_back(std::move(source).error());
      }
    }
  }
  return sources;
}

Result<ModelSource> Repository::find(const std::string& name, const std::string& version) const {
  if (!is_model_name(name)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("'{}' is not a model name (letters, digits, '.', '_' and '-')",
                             name.substr(0, 128))};
  }
  const std::vector<std::string> versions = sorted_versions(fs::path(root_) / name);
  if (versions.empty()) {
    return unknown_model(root_, name);
  }
  if (version.empty()) return read_version(root_, read_lock(root_), name, versions.back());
  if (std::find(versions.begin(), versions.end(), version) == versions.end()) {
    return Error{POCKET_NOT_FOUND, fmt::format("model '{}' has no version '{}'; it has {}", name,
                                               version.substr(0, 32), fmt::join(versions, ", "))};
  }
  return read_version(root_, read_lock(root_), name, version);
}

Result<void> check_digest(const ModelSource& source, const std::string& digest) {
  const std::pair<std::string, const char*> wanted[] = {
      {source.manifest.sha256.value_or(""), "model.toml"}, {source.locked_sha256, "models.lock"}};
  for (const auto& [sha256, where] : wanted) {
    if (sha256.empty() || sha256 == digest) continue;
    return Error{POCKET_DATA_LOSS,
                 fmt::format("model '{}' version {} has SHA-256 {}, its {} wants {}: the files are "
                             "damaged or were changed; `pocket models verify` names them",
                             source.name, source.version, digest, where, sha256)};
  }
  return ok_result();
}

}  // namespace pocket::model
