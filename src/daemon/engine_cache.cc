#include "daemon/engine_cache.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>

namespace pocket::daemon {

namespace fs = std::filesystem;

std::string engine_cache(const std::string& root, const std::string& group) {
  const auto name = fmt::format("{:016x}", std::hash<std::string>{}(group));
  return (fs::absolute(root) / name).lexically_normal().string();
}

Result<void> make_engine_cache(const std::string& root, const std::string& cache, bool open_root) {
  std::error_code error;
  const bool made = fs::create_directories(root, error);
  if (!error && made && !open_root) fs::permissions(root, fs::perms::owner_all, error);
  if (!error) fs::create_directory(cache, error);
  if (!error) fs::permissions(cache, fs::perms::all, error);
  if (!error) return ok_result();
  return errno_error(fmt::format("making the engines' cache '{}' (engines.cache_dir)", cache),
                     error.value());
}

}  // namespace pocket::daemon
