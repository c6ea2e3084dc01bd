#include "cli/local_service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"

namespace pocket::cli {

std::string program_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string find_pocketd() {
  std::error_code error;
  const auto beside = std::filesystem::path(program_folder()) / "pocketd";
  return std::filesystem::exists(beside, error) ? beside.string() : "pocketd";
}

Result<std::unique_ptr<LocalService>> LocalService::create(const std::string& models) {
  std::string folder = (std::filesystem::temp_directory_path() /
                        fmt::format("{}-{}-XXXXXX", kFolderPrefix, ::getpid()))
                           .string();
  if (::mkdtemp(folder.data()) == nullptr) return errno_error("making the folder " + folder, errno);
  // A runner with a user of its own goes through it where it sees the host's files.
  if (::chmod(folder.c_str(), 0711) != 0) return errno_error("chmod " + folder, errno);
  std::unique_ptr<LocalService> service(new LocalService());
  service->folder_ = folder;
  service->models_ = models.empty() ? service->folder_ + "/models" : models;
  std::error_code error;
  std::filesystem::create_directories(service->models_, error);
  return service;
}

LocalService::~LocalService() {
  stop();
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
}

Result<void> LocalService::add_null_model(const std::string& name, const std::string& text) {
  const auto folder = std::filesystem::path(models_) / name / "1";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::ofstream out(folder / "model.null");
  out << text;
  out.close();
  if (!out) return errno_error(fmt::format("writing {}/model.null", folder.string()), errno);
  return ok_result();
}

Result<void> LocalService::add_manifest(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::path(models_) / name / "model.toml";
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out) return errno_error(fmt::format("writing {}", path.string()), errno);
  return ok_result();
}

Result<std::string> LocalService::write_config(const std::string& text) {
  const std::string path = folder_ + "/pocketd.toml";
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out) return errno_error(fmt::format("writing {}", path), errno);
  return path;
}

Result<void> LocalService::start(const std::vector<std::string>& more_arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  std::vector<std::string> arguments = {find_pocketd(), "--socket",   socket(),
                                        "--models",     models_,      "--log-level",
                                        "warning",      "--ready-fd", std::to_string(writer.get())};
  arguments.insert(arguments.end(), more_arguments.begin(), more_arguments.end());
  std::vector<char*> raw;
  for (auto& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return errno_error("fork", errno);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::fcntl(writer.get(), F_SETFD, 0);
    ::execvp(raw[0], raw.data());
    ::_exit(127);
  }
  writer.reset();
  char text[8];
  ssize_t bytes = 0;
  do {
    bytes = ::read(reader.get(), text, sizeof(text));
  } while (bytes < 0 && errno == EINTR);
  if (bytes > 0) return ok_result();
  stop();
  return Error{POCKET_UNAVAILABLE,
               fmt::format("'{}' did not become ready; its message is above", arguments[0])};
}

void LocalService::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace pocket::cli
