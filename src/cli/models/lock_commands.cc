// pocket models verify | lock
#include <fmt/format.h>

#include "cli/models/commands.h"
#include "cli/models/place.h"
#include "model/lock.h"
#include "model/repository.h"
#include "pocket/pocket.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct Options {
  ServiceOptions service;
  std::string models;
  std::string name;
};

/// What is there but not in the lock: told, not an error.
std::vector<std::string> unlocked(const std::string& root, const model::Lock& lock,
                                  const std::string& name) {
  std::vector<std::string> names;
  for (const auto& source : model::Repository(root).list(nullptr)) {
    const bool wanted = name.empty() || name == source.name;
    if (wanted && lock.find(source.name, source.version) == nullptr) {
      names.push_back(fmt::format("{} version {}", source.name, source.version));
    }
  }
  return names;
}

Result<int> verify(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(const std::string root,
                          repository_folder(options.models, options.service.socket));
  POCKET_ASSIGN_OR_RETURN(const auto lock, model::read_lock(root));
  json rows = json::array();
  size_t bad = 0, looked_at = 0;
  const bool print = options.service.json.empty();
  for (const auto& entry : lock.models) {
    if (!options.name.empty() && options.name != entry.name) continue;
    ++looked_at;
    POCKET_ASSIGN_OR_RETURN(const auto lines, model::differences(entry, root));
    bad += lines.empty() ? 0 : 1;
    rows.push_back({{"name", entry.name},
                    {"version", entry.version},
                    {"sha256", entry.sha256},
                    {"licence", entry.licence},
                    {"source", entry.source},
                    {"state", lines.empty() ? "ok" : "differs"},
                    {"differences", lines}});
    if (!print) continue;
    fmt::print("{:8} {} version {}\n", lines.empty() ? "ok" : "DIFFERS", entry.name, entry.version);
    for (const auto& line : lines) fmt::print("         {}\n", line);
  }
  const auto others = unlocked(root, lock, options.name);
  if (looked_at == 0 && others.empty() && !options.name.empty()) {
    return Error{POCKET_NOT_FOUND, fmt::format("'{}' has no model '{}'", root, options.name)};
  }
  if (!print) {
    POCKET_RETURN_IF_ERROR(write_json(
        options.service.json, {{"repository", root}, {"models", rows}, {"unlocked", others}}));
  } else {
    for (const auto& other : others) fmt::print("unlocked {}\n", other);
    fmt::print("{} of {} as in '{}/models.lock'\n", looked_at - bad, looked_at, root);
  }
  return bad == 0 ? 0 : 1;
}

Result<int> lock(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(const std::string root,
                          repository_folder(options.models, options.service.socket));
  // A lock that cannot be read is written anew, for all models only.
  auto before = model::read_lock(root);
  if (!before.ok() && !options.name.empty()) return before.error();
  model::Lock lock;
  if (!options.name.empty()) lock = *before;
  size_t count = 0;
  // The repository itself answers nothing while its lock is bad, so an unreadable one goes first.
  if (!before.ok()) POCKET_RETURN_IF_ERROR(model::write_lock(root, lock));
  std::vector<Error> problems;
  for (const auto& source : model::Repository(root).list(&problems)) {
    if (!options.name.empty() && options.name != source.name) continue;
    POCKET_ASSIGN_OR_RETURN(
        auto entry, model::lock_model(source, {fmt::format("pocket {}", pocket_version())}));
    const model::LockedModel* old =
        before.ok() ? before->find(source.name, source.version) : nullptr;
    // What made the files is known from when they were made, as long as they are the same.
    if (old != nullptr && old->sha256 == entry.sha256) entry.tools = old->tools;
    lock.put(std::move(entry));
    ++count;
  }
  if (!problems.empty()) return problems.front();
  if (count == 0) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("'{}' has no model{}", root,
                             options.name.empty() ? "" : " '" + options.name + "'")};
  }
  POCKET_RETURN_IF_ERROR(model::write_lock(root, lock));
  fmt::print("{} of {} in '{}/models.lock'\n", count, lock.models.size(), root);
  return 0;
}

}  // namespace

void add_lock_commands(CLI::App& models, Action& action) {
  const auto add = [&](const char* name, const char* text, auto run) {
    auto options = std::make_shared<Options>();
    auto* command = models.add_subcommand(name, text);
    command->add_option("model", options->name, "Name of a model (default: all of them)");
    command->add_option("--models", options->models,
                        "Folder of the repository (default: the running service's)");
    command->add_option("--socket", options->service.socket, "Socket of the service");
    command->callback(
        [&action, options, run] { action = [options, run] { return run(*options); }; });
    return std::pair(command, options);
  };
  auto [verifying, options] =
      add("verify", "Compare the models' files with models.lock; 1 when some differ", verify);
  add_json_option(*verifying, options->service.json);
  add("lock", "Write into models.lock what the models' files are now", lock);
}

}  // namespace pocket::cli
