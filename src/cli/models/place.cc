#include "cli/models/place.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/admin.h"

namespace pocket::cli {

Result<std::string> repository_folder(const std::string& models, const std::string& socket) {
  if (!models.empty()) {
    std::error_code ignored;
    if (std::filesystem::is_directory(models, ignored)) return models;
    return Error{POCKET_NOT_FOUND,
                 fmt::format("there is no folder '{}': name a repository with --models", models)};
  }
  auto session = connect(socket);
  if (!session.ok()) {
    return Error{session.error().code,
                 session.error().message + "; or name the repository with --models"};
  }
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(**session));
  return status.models_dir;
}

}  // namespace pocket::cli
