#include "cli/run/registry.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "cli/run/amounts.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;

/// Beside pocketd's folder, not in it: containers get that one mounted, and command lines are
/// nobody else's business.
std::string default_folder() {
  if (const char* run = std::getenv("XDG_RUNTIME_DIR"); run != nullptr && *run == '/') {
    return std::string(run) + "/pocket-run";
  }
  if (::geteuid() == 0) return "/run/pocket-run";
  return fmt::format("/tmp/pocket-run-{}", ::geteuid());
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t bytes = ::read(fd, part, sizeof(part));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return errno_error(fmt::format("reading '{}'", path), errno);
    if (bytes == 0) return text;
    text.append(part, static_cast<size_t>(bytes));
  }
}

/// ".NAME.PID": write() of a process that was killed in the middle of it.
bool is_abandoned(const std::string& file) {
  const size_t dot = file.rfind('.');
  if (file[0] != '.' || dot == 0) return false;
  const int pid = std::atoi(file.c_str() + dot + 1);
  return pid > 0 && identity_of(pid).start_ticks == 0;
}

}  // namespace

Result<Registry> Registry::open() {
  const std::string folder = default_folder();
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error(fmt::format("making the folder of runs '{}' (set XDG_RUNTIME_DIR to a "
                                   "folder of your own)",
                                   folder),
                       errno);
  }
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0) {
    return errno_error(fmt::format("looking at '{}'", folder), errno);
  }
  // In /tmp anybody may have made it first; its files say which groups to remove.
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    return Error{POCKET_PERMISSION_DENIED,
                 fmt::format("the folder of runs '{}' must be a folder of user {} that nobody else "
                             "can write to: remove it, or set XDG_RUNTIME_DIR",
                             folder, ::geteuid())};
  }
  return Registry(folder);
}

Result<UniqueFd> Registry::lock() const {
  const std::string path = folder_ + "/.lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return errno_error(fmt::format("opening '{}'", path), errno);
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return errno_error(fmt::format("locking '{}'", path), errno);
  }
  return file;
}

Result<UniqueFd> Registry::write(const Record& record) const {
  const std::string temporary = fmt::format("{}/.{}.{}", folder_, record.name, ::getpid());
  ::unlink(temporary.c_str());
  UniqueFd file(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return errno_error(fmt::format("making '{}'", temporary), errno);
  const std::string text =
      to_json(record).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const ssize_t bytes = ::write(file.get(), text.data(), text.size());
  if (bytes != static_cast<ssize_t>(text.size()) ||
      ::rename(temporary.c_str(), path(record.name).c_str()) != 0) {
    const int error = bytes >= 0 && bytes != static_cast<ssize_t>(text.size()) ? ENOSPC : errno;
    ::unlink(temporary.c_str());
    return errno_error(fmt::format("writing '{}'", path(record.name)), error);
  }
  return file;
}

Result<std::vector<Record>> Registry::claim(const Record& base, const std::string& wanted,
                                            const std::string& program, int count) {
  POCKET_ASSIGN_OR_RETURN(const UniqueFd held, lock());
  const auto is_free = [&](const std::string& name) {
    auto found = load(name);
    if (!found.ok()) return found.error().code == POCKET_NOT_FOUND;
    // A lost one that nobody has cleared up still has a group to be removed.
    return found->engine.empty() && (found->exit_status || found->lost);
  };
  std::vector<std::string> names;
  if (wanted.empty()) {
    for (int number = 1; static_cast<int>(names.size()) < count; ++number) {
      auto name = fmt::format("{}-{}", program, number);
      // Unlike a name somebody asked for, it never replaces what another run left to be read.
      if (::access(path(name).c_str(), F_OK) != 0) names.push_back(std::move(name));
    }
  } else if (count == 1) {
    names.push_back(wanted);
  } else {
    for (int number = 1; number <= count; ++number) {
      names.push_back(fmt::format("{}-{}", wanted, number));
    }
  }
  std::vector<Record> records;
  for (const auto& name : names) {
    if (!is_free(name)) {
      return Error{POCKET_ALREADY_EXISTS,
                   fmt::format("there is a run '{}' already: choose another --name, or see `pocket "
                               "ps -a`; `pocket wait {}` waits for its end and forgets it",
                               name, name)};
    }
    records.push_back(base);
    records.back().name = name;
  }
  for (const auto& record : records) {
    if (auto written = write(record); !written.ok()) {
      for (const auto& started : records) {
        auto found = load(started.name);
        if (found.ok() && found->same_run(started)) ::unlink(path(started.name).c_str());
      }
      return std::move(written).error();
    }
  }
  return records;
}

Result<UniqueFd> Registry::save(const Record& record) {
  POCKET_ASSIGN_OR_RETURN(const UniqueFd held, lock());
  return write(record);
}

void Registry::remove(const Record& record) {
  const auto held = lock();
  if (!held.ok()) return;
  auto found = load(record.name);
  if (found.ok() && found->same_run(record)) ::unlink(path(record.name).c_str());
}

bool Registry::release(const Record& record, const UniqueFd& watched) {
  if (::flock(watched.get(), LOCK_EX | LOCK_NB) != 0) return false;
  remove(record);
  return true;
}

Result<UniqueFd> Registry::open_for_waiting(const std::string& name) const {
  UniqueFd file(::open(path(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    const int error = errno;
    auto found = load(name);
    if (!found.ok()) return std::move(found).error();
    return errno_error(fmt::format("opening '{}'", path(name)), error);
  }
  while (::flock(file.get(), LOCK_SH) != 0) {
    if (errno != EINTR) return errno_error(fmt::format("locking '{}'", path(name)), errno);
  }
  return file;
}

Result<Record> Registry::load(const std::string& name) const {
  POCKET_RETURN_IF_ERROR(check_run_name(name));
  const UniqueFd file(::open(path(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno != ENOENT) return errno_error(fmt::format("opening '{}'", path(name)), errno);
    return Error{POCKET_NOT_FOUND,
                 fmt::format("there is no run '{}'; `pocket ps -a` lists what there is", name)};
  }
  POCKET_ASSIGN_OR_RETURN(const auto text, read_all(file.get(), path(name)));
  auto record = record_from_json(text);
  if (!record.ok()) return std::move(record).error().with_context(path(name));
  return record;
}

std::vector<Record> Registry::load_all() {
  std::vector<Record> records;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string file = entry.path().filename().string();
    if (is_abandoned(file)) ::unlink(entry.path().c_str());
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != ".json" || !check_run_name(name).ok()) continue;
    auto record = load(name);
    if (record.ok() && record->boot == boot_id()) {
      records.push_back(std::move(record).value());
    } else if (record.ok() || record.error().code == POCKET_DATA_LOSS) {
      ::unlink(entry.path().c_str());
    }
  }
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) { return a.name < b.name; });
  return records;
}

}  // namespace pocket::cli
