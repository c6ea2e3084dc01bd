#include "sandbox/libraries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/unique_fd.h"

namespace pocket::sandbox {
namespace {

/// The loader that this very program was started with.
std::string loader_path() {
  std::string path;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        const std::string name = info->dlpi_name;
        const bool loader = name.find("/ld-") != std::string::npos ||
                            name.find("/ld.so") != std::string::npos ||
                            name.find("/ld64.so") != std::string::npos;
        if (loader) *static_cast<std::string*>(result) = name;
        return loader ? 1 : 0;
      },
      &path);
  return path;
}

Result<std::string> ask_loader(const std::string& loader, const std::string& plugin) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  // What it complains about is told by dlopen, later and better.
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const char* arguments[] = {loader.c_str(), "--list", plugin.c_str(), nullptr};
  pid_t pid = -1;
  const int failure = ::posix_spawn(&pid, loader.c_str(), &actions, nullptr,
                                    const_cast<char* const*>(arguments), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return errno_error(fmt::format("starting '{}'", loader), failure);
  writer.reset();
  std::string text;
  char part[4096];
  ssize_t bytes = 0;
  while ((bytes = ::read(reader.get(), part, sizeof(part))) > 0 || (bytes < 0 && errno == EINTR)) {
    if (bytes > 0) text.append(part, static_cast<size_t>(bytes));
  }
  ::waitpid(pid, nullptr, 0);
  return text;
}

}  // namespace

std::vector<std::string> parse_loader_list(const std::string& text) {
  std::vector<std::string> paths;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t address = line.rfind(" (0x");
    const size_t slash = line.find('/');
    if (address == std::string::npos || slash == std::string::npos || slash > address) continue;
    // A path with a slash in the name of the library ("/lib64/ld.so => /lib64/ld.so") is the
    // second.
    const size_t arrow = line.find(" => /");
    const size_t start = arrow == std::string::npos || arrow > address ? slash : arrow + 4;
    paths.push_back(line.substr(start, address - start));
  }
  return paths;
}

Result<std::vector<std::string>> library_folders(const std::string& plugin) {
  namespace fs = std::filesystem;
  const std::string loader = loader_path();
  if (loader.empty()) {
    return Error{POCKET_UNIMPLEMENTED, "this program has no dynamic loader to ask for libraries"};
  }
  POCKET_ASSIGN_OR_RETURN(const std::string text, ask_loader(loader, plugin));
  std::vector<std::string> paths = parse_loader_list(text);
  paths.push_back(plugin);
  std::set<std::string> folders;
  std::error_code error;
  for (const auto& path : paths) {
    folders.insert(fs::path(path).lexically_normal().parent_path().string());
    const fs::path real = fs::canonical(path, error);
    if (!error) folders.insert(real.parent_path().string());
  }
  return std::vector<std::string>(folders.begin(), folders.end());
}

}  // namespace pocket::sandbox
