#include "cgroup/owned_group.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "cgroup/mounts.h"

namespace pocket::cgroup {
namespace {

constexpr uint64_t kRemoveTimeoutNs = 200'000'000;
constexpr timespec kPause{0, 1'000'000};

std::string files_path(const GroupTree& tree, const char* name) { return tree.path + "/" + name; }

/// 0 or errno.
int write_file(const std::string& path, const std::string& text) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

int open_process(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

OwnedGroup::OwnedGroup(std::string name, std::vector<GroupTree> trees,
                       std::vector<std::string> made)
    : name_(std::move(name)), trees_(std::move(trees)), made_(std::move(made)) {}

OwnedGroup& OwnedGroup::operator=(OwnedGroup&& other) noexcept {
  if (this != &other) {
    (void)remove(kRemoveTimeoutNs);
    name_ = std::move(other.name_);
    trees_ = std::exchange(other.trees_, {});
    made_ = std::exchange(other.made_, {});
    cpu_ = std::move(other.cpu_);
    memory_ = std::move(other.memory_);
    clone_fd_ = std::move(other.clone_fd_);
  }
  return *this;
}

OwnedGroup::~OwnedGroup() { (void)remove(kRemoveTimeoutNs); }

bool OwnedGroup::has(Controller controller) const {
  return controller == Controller::kCpu ? cpu_.has_value() : memory_.has_value();
}

Result<void> OwnedGroup::add(pid_t pid) {
  if (pid <= 0) {  // the kernel would take 0 for the caller
    return Error{POCKET_INVALID_ARGUMENT,
                 std::to_string(pid) + " is no process to move into '" + name_ + "'"};
  }
  for (const GroupTree& tree : trees_) {
    const std::string path = files_path(tree, "cgroup.procs");
    const int failed = write_file(path, std::to_string(pid));
    if (failed == 0) continue;
    Error error =
        errno_error("moving process " + std::to_string(pid) + " into '" + path + "'", failed);
    if (failed == ESRCH) error.message += "; the process has ended";
    if (failed == ENOENT || failed == ENODEV) error.message += "; group gone";
    if (failed == EBUSY || failed == EOPNOTSUPP) {
      error.code = POCKET_FAILED_PRECONDITION;
      error.message +=
          "; on v2 a group with controllers for groups below it takes no processes: "
          "move it into one of those";
    }
    return error;
  }
  return ok_result();
}

Result<std::vector<pid_t>> OwnedGroup::processes() const {
  std::vector<pid_t> all;
  for (const GroupTree& tree : trees_) {
    auto text = read_text(files_path(tree, "cgroup.procs"));
    if (!text.ok()) {
      return std::move(text).error().with_context("processes of group '" + name_ + "'");
    }
    for (const std::string& line : split(*text, '\n')) {
      all.push_back(static_cast<pid_t>(std::strtol(line.c_str(), nullptr, 10)));
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// Signals those that are in the group both before and after their pidfd was opened, so that a pid
/// reused in between is never hit.
void OwnedGroup::kill_once() {
  if (trees_.size() == 1 && trees_[0].v2 &&
      write_file(files_path(trees_[0], "cgroup.kill"), "1") == 0) {
    return;
  }
  auto listed = processes();
  if (!listed.ok()) return;
  std::vector<std::pair<pid_t, UniqueFd>> opened;
  for (const pid_t pid : *listed) {
    UniqueFd process(open_process(pid));
    if (process.valid()) opened.emplace_back(pid, std::move(process));
  }
  auto still = processes();
  if (!still.ok()) return;
  for (const auto& [pid, process] : opened) {
    if (!std::binary_search(still->begin(), still->end(), pid)) continue;
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  }
}

Result<void> OwnedGroup::kill_all(uint64_t timeout_ns) {
  const uint64_t deadline = deadline_after(timeout_ns);
  while (true) {
    POCKET_ASSIGN_OR_RETURN(const auto listed, processes());
    if (listed.empty()) return ok_result();
    if (std::binary_search(listed.begin(), listed.end(), ::getpid())) {
      return Error{POCKET_FAILED_PRECONDITION,
                   "ending the processes of group '" + name_ +
                       "': this process is one of them; leave it first"};
    }
    if (monotonic_ns() >= deadline) {
      return Error{POCKET_DEADLINE_EXCEEDED,
                   "ending the processes of group '" + name_ +
                       "': " + std::to_string(listed.size()) + " still there, the first is " +
                       std::to_string(listed[0]) +
                       "; stopped by the freezer, or stuck in the kernel?"};
    }
    kill_once();
    ::nanosleep(&kPause, nullptr);
  }
}

Result<void> OwnedGroup::remove(uint64_t timeout_ns) {
  const uint64_t deadline = deadline_after(timeout_ns);
  for (const GroupTree& tree : trees_) {
    const uint64_t now = monotonic_ns();
    POCKET_RETURN_IF_ERROR(remove_group(tree.path, now < deadline ? deadline - now : 0));
  }
  trees_.clear();
  // Parents made with it go too, unless somebody else uses them by now.
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) ::rmdir(folder->c_str());
  made_.clear();
  return ok_result();
}

}  // namespace pocket::cgroup
