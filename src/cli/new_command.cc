// pocket new: a handler of one's own, its interface and a client, ready to build.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/command.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string name;
  std::string folder;
};

/// Names that are one in protobuf, C++ and CMake, and a file's.
Result<void> check_name(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= 64 && name[0] >= 'a' && name[0] <= 'z' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
                    });
  if (fits && name != "pocket" && name != "test") return ok_result();
  return Error{POCKET_INVALID_ARGUMENT,
               fmt::format("'{}' is no name for a handler: a-z first, then a-z, 0-9 and _; not "
                           "'pocket' or 'test'",
                           name)};
}

/// "my_app" -> "MyApp"
std::string type_name(const std::string& name) {
  std::string type;
  bool first = true;
  for (const char c : name) {
    if (c != '_') type += first ? static_cast<char>(std::toupper(c)) : c;
    first = c == '_';
  }
  return type;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// Beside the program: bin/pocket, share/pocket/new.
Result<fs::path> templates() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path folder = program.parent_path().parent_path() / "share/pocket/new";
  if (!error && fs::is_directory(folder, error)) return folder;
  return Error{
      POCKET_NOT_FOUND,
      fmt::format("'{}' is not there: this Pocket is not installed whole", folder.string())};
}

Result<void> copy_template(const fs::path& from, const fs::path& to, const std::string& name) {
  std::ifstream in(from);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text = replaced(replaced(std::move(text), "@name@", name), "@Name@", type_name(name));
  std::ofstream out(to);
  out << text;
  out.close();
  if (!in || !out)
    return Error{POCKET_PERMISSION_DENIED, fmt::format("cannot write '{}'", to.string())};
  std::error_code error;
  fs::permissions(to, fs::status(from, error).permissions(), error);
  return ok_result();
}

Result<int> make_new(const Options& options) {
  POCKET_RETURN_IF_ERROR(check_name(options.name));
  POCKET_ASSIGN_OR_RETURN(const fs::path source, templates());
  const fs::path target =
      options.folder.empty() ? fs::path(options.name) : fs::path(options.folder);
  std::error_code error;
  if (fs::exists(target, error) && !fs::is_empty(target, error)) {
    return Error{POCKET_ALREADY_EXISTS,
                 fmt::format("'{}' is there and not empty: name another folder with --dir",
                             target.string())};
  }
  fs::create_directories(target, error);
  if (error) return errno_error(fmt::format("making '{}'", target.string()), error.value());
  for (const auto& entry : fs::directory_iterator(source)) {
    std::string file = replaced(entry.path().filename().string(), "NAME", options.name);
    if (entry.path().extension() == ".in") file.resize(file.size() - 3);  // no C++ before this
    POCKET_RETURN_IF_ERROR(copy_template(entry.path(), target / file, options.name));
  }
  fmt::print(
      "{} is made. Next:\n  cmake -S {} -B {}/build && cmake --build {}/build\n"
      "  ctest --test-dir {}/build --output-on-failure\n",
      target.string(), target.string(), target.string(), target.string(), target.string());
  return 0;
}

}  // namespace

void add_new_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("new", "Make a handler of your own: interface, code, client, test");
  command->add_option("name", options->name, "Its name: a-z, 0-9 and _")->required();
  command->add_option("--dir", options->folder, "Folder to make (default: its name)");
  command->callback([&action, options] { action = [options] { return make_new(*options); }; });
}

}  // namespace pocket::cli
