#include "daemon/visible.h"

#include <algorithm>
#include <filesystem>

#include "daemon/model_load.h"

namespace pocket::daemon {
namespace {

namespace fs = std::filesystem;

constexpr int kMostEntries = 4096;
constexpr int kMostLinks = 16;  // that lead to one another

/// Adds the target of a link, and those of the links it leads to.
void follow(fs::path link, std::vector<std::string>& paths) {
  std::error_code error;
  for (int count = 0; count < kMostLinks && fs::is_symlink(link, error); ++count) {
    const fs::path target = fs::read_symlink(link, error);
    if (error) return;
    link = (link.parent_path() / target).lexically_normal();
    paths.push_back(link.string());
  }
}

}  // namespace

std::vector<std::string> files_behind(const std::string& folder) {
  std::vector<std::string> paths = {folder};
  follow(folder, paths);
  std::error_code error;
  int count = 0;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator() && ++count < kMostEntries;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_symlink(ignored)) follow(entry->path(), paths);
  }
  return paths;
}

void add_files(const RunnerFiles& more, RunnerFiles& files) {
  const auto add = [](const std::vector<std::string>& from, std::vector<std::string>& to) {
    for (const auto& entry : from) {
      if (std::ranges::find(to, entry) == to.end()) to.push_back(entry);
    }
  };
  add(more.engines, files.engines);
  add(more.shown, files.shown);
}

RunnerFiles files_of_model(const model::ModelSource& source, const std::string& engine,
                           const Config& config) {
  RunnerFiles files;
  files.engines = {engine};
  files.shown = files_behind(source.folder);
  for (const auto& use : source.uses) {
    add_files(files_of_model(*use.source, chosen_engine(*use.source, "", config), config), files);
  }
  return files;
}

}  // namespace pocket::daemon
