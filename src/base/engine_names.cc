#include "base/engine_names.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace pocket {
namespace {

constexpr std::string_view kPrefix = "libpocket-engine-";
constexpr std::string_view kSuffix = ".so";

}  // namespace

bool is_engine_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::string engine_path(const std::string& engine_dir, const std::string& name) {
  return engine_dir + "/" + std::string(kPrefix) + name + std::string(kSuffix);
}

std::vector<std::string> list_engines(const std::string& engine_dir) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(engine_dir, ignored)) {
    const std::string file = entry.path().filename().string();
    if (file.size() > kPrefix.size() + kSuffix.size() && file.starts_with(kPrefix) &&
        file.ends_with(kSuffix)) {
      names.push_back(file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size()));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace pocket
