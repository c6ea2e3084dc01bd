#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "model/digest.h"
#include "model/pipeline_file.h"
#include "model/repository.h"

namespace pocket::model {
namespace {

// Each level is two tables inside the message that has the model loaded.
constexpr size_t kDeepest = 4;

/// What the entry names, and what the steps of a pipeline run; each once.
Result<std::vector<std::string>> used_by(const ModelSource& source) {
  std::vector<std::string> used = source.manifest.uses;
  if (source.format != "pipeline") return used;
  POCKET_ASSIGN_OR_RETURN(const PipelineFile file, read_pipeline_file(source.path));
  for (const auto& step : file.steps) {
    if (step.kind == PipelineStep::Kind::kOperation) continue;
    if (std::find(used.begin(), used.end(), step.wanted) == used.end()) used.push_back(step.wanted);
  }
  return used;
}

Result<void> resolve(const Repository& repository, ModelSource& source,
                     std::vector<std::string>& path) {
  path.push_back(source.name);
  if (path.size() > kDeepest + 1) {
    return Error{POCKET_INVALID_ARGUMENT, fmt::format("models use each other more than {} deep: {}",
                                                      kDeepest, fmt::join(path, " -> "))};
  }
  source.uses.clear();
  POCKET_ASSIGN_OR_RETURN(const auto used, used_by(source));
  for (const auto& wanted : used) {
    const size_t at = wanted.find('@');
    ModelUse use;
    use.name = wanted.substr(0, at);
    if (std::find(path.begin(), path.end(), use.name) != path.end()) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("models use each other in a circle: {} -> {}",
                               fmt::join(path, " -> "), use.name)};
    }
    const auto same = [&use](const ModelUse& other) { return other.name == use.name; };
    if (std::any_of(source.uses.begin(), source.uses.end(), same)) {
      return Error{
          POCKET_INVALID_ARGUMENT,
          fmt::format("model '{}' uses '{}' twice, or in two versions", source.name, use.name)};
    }
    auto found = repository.find(use.name, at == std::string::npos ? "" : wanted.substr(at + 1));
    if (!found.ok()) {
      return std::move(found).error().with_context(
          fmt::format("model '{}' uses '{}'", source.name, wanted));
    }
    POCKET_RETURN_IF_ERROR(resolve(repository, *found, path));
    POCKET_ASSIGN_OR_RETURN(use.digest, cached_digest(found->folder));
    if (found->manifest.sha256 && *found->manifest.sha256 != use.digest) {
      return Error{POCKET_DATA_LOSS,
                   fmt::format("model '{}' uses '{}', whose files have SHA-256 {}; its model.toml "
                               "wants {}",
                               source.name, wanted, use.digest, *found->manifest.sha256)};
    }
    use.source = std::make_shared<const ModelSource>(std::move(*found));
    source.uses.push_back(std::move(use));
  }
  path.pop_back();
  return ok_result();
}

}  // namespace

Result<void> resolve_uses(const Repository& repository, ModelSource& source) {
  std::vector<std::string> path;
  return resolve(repository, source, path);
}

}  // namespace pocket::model
