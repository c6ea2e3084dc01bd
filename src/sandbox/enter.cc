#include "sandbox/enter.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "sandbox/capabilities.h"
#include "sandbox/identity.h"
#include "sandbox/libraries.h"

namespace pocket::sandbox {
namespace {

/// Threads of one runner, at most: engines have some for each processor and model, and a group may
/// have hundreds of models.
constexpr rlim_t kMostThreads = 4096;
/// Bytes of one file that it may write (its scratch files, compiled models): a hostile model fills
/// a disk no faster than the service gives it files.
constexpr rlim_t kMostFileBytes = rlim_t{16} << 30;

/// Notes what became of a protection.
void note(Report& report, Protection protection, const Result<void>& result) {
  Outcome& outcome = report.of(protection);
  outcome.on = result.ok();
  outcome.why_not = result.ok() ? "" : result.error().message;
}

Result<void> make_namespace(int flag, const char* what) {
  if (::unshare(flag) == 0) return ok_result();
  return errno_error(fmt::format("making {}", what), errno);
}

/// The service has made the namespace when it started this process, or could not.
Result<void> check_processes() {
  if (::getpid() == 1) return ok_result();
  POCKET_RETURN_IF_ERROR(make_namespace(CLONE_NEWPID, "a PID namespace"));
  return Error{POCKET_FAILED_PRECONDITION, "not started in a PID namespace"};
}

Result<void> limit(bool own_user) {
  struct Limit {
    decltype(RLIMIT_CORE) resource;
    rlim_t most;
    const char* name;
  };
  const Limit limits[] = {{RLIMIT_CORE, 0, "core"},
                          {RLIMIT_MEMLOCK, 0, "memlock"},
                          {RLIMIT_MSGQUEUE, 0, "msgqueue"},
                          {RLIMIT_RTPRIO, 0, "rtprio"},
                          {RLIMIT_NICE, 0, "nice"},
                          {RLIMIT_SIGPENDING, 1024, "sigpending"},
                          {RLIMIT_FSIZE, kMostFileBytes, "fsize"},
                          {RLIMIT_NPROC, kMostThreads, "nproc"}};
  for (const Limit& entry : limits) {
    // It counts all that the user has: of a shared one, those of others.
    if (entry.resource == RLIMIT_NPROC && !own_user) continue;
    rlimit value{};
    ::getrlimit(entry.resource, &value);
    value = {std::min(value.rlim_cur, entry.most), std::min(value.rlim_max, entry.most)};
    if (::setrlimit(entry.resource, &value) != 0) {
      return errno_error(fmt::format("limiting {}", entry.name), errno);
    }
  }
  return ok_result();
}

Result<void> forbid_dumps() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return errno_error("limiting core dumps", errno);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error("PR_SET_DUMPABLE", errno);
  return ok_result();
}

Result<void> forbid_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return ok_result();
  return errno_error("PR_SET_NO_NEW_PRIVS", errno);
}

Result<void> replace_files(const Entry& entry, bool& undone) {
  undone = true;
  FileTree tree = entry.tree;
  for (const std::string& plugin : entry.plugins) {
    POCKET_ASSIGN_OR_RETURN(const auto folders, library_folders(plugin));
    tree.shown.insert(tree.shown.end(), folders.begin(), folders.end());
  }
  ::tzset();  // while the machine's time zone can be read
  return enter_file_tree(tree, undone);
}

}  // namespace

Result<void> enter(const Entry& entry, Report& report) {
  const Settings& settings = entry.settings;
  const pid_t number = outer_pid();
  for (const Protection protection : kAllProtections) {
    if (!settings.wants(protection)) report.of(protection) = {false, "switched off"};
  }
  const auto step = [&](Protection protection, auto work) {
    if (settings.wants(protection)) note(report, protection, work());
  };
  step(Protection::kProcesses, check_processes);
  step(Protection::kNetwork, [] { return make_namespace(CLONE_NEWNET, "a network namespace"); });
  step(Protection::kIpc, [] { return make_namespace(CLONE_NEWIPC, "an IPC namespace"); });
  bool undone = true;
  step(Protection::kMounts, [&] { return replace_files(entry, undone); });
  if (settings.wants(Protection::kMounts) && !report.of(Protection::kMounts).on && !undone) {
    return Error{POCKET_INTERNAL, report.of(Protection::kMounts).why_not};
  }
  // The bounding set while there still is a right to change it, which goes with root's number.
  Result<void> bounded = ok_result();
  if (settings.wants(Protection::kCapabilities)) bounded = bound_capabilities({});
  step(Protection::kUser, [&] { return change_user(settings.user, number); });
  step(Protection::kCapabilities, [&] { return bounded.ok() ? keep_capabilities({}) : bounded; });
  step(Protection::kNoNewPrivileges, forbid_privileges);
  step(Protection::kLimits, [&] { return limit(report.of(Protection::kUser).on); });
  step(Protection::kDumps, forbid_dumps);
  return ok_result();
}

}  // namespace pocket::sandbox
