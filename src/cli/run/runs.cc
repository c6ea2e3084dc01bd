#include "cli/run/runs.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "cli/run/container.h"
#include "cli/run/group.h"

namespace pocket::cli {
namespace {

bool is_detached_container(const Record& record) {
  return !record.engine.empty() && record.supervisor.pid == 0;
}

void look_at_container(SeenRun& seen) {
  auto& record = seen.record;
  const auto state = inspect_container(record.engine, record.container);
  if (!state.ok()) {
    const bool gone = state.error().code == POCKET_NOT_FOUND;
    if (is_detached_container(record)) seen.state = gone ? RunState::kLost : RunState::kUnknown;
    return;
  }
  if (is_detached_container(record) && !state->running) {
    seen.state = RunState::kExited;
    record.exit_status = state->exit_status;
  }
  if (state->pid == 0) return;
  record.process = identity_of(state->pid);
  if (auto group = RunGroup::of_process(state->pid); group.ok()) seen.usage = group->usage();
}

/// The supervisor of this run was killed; the kernel has killed its program with it.
void clear_up(Registry& registry, Record& record) {
  if (record.boot == boot_id()) {
    if (is_running(record.process) && record.engine.empty()) {
      ::kill(record.process.pid, SIGKILL);  // a set-user-id program outlives its parent
    }
    if (!record.engine.empty()) (void)remove_container(record.engine, record.container);
    if (!record.group.empty()) {
      if (auto group = RunGroup::open(record.group); group.ok()) record.usage = group->usage();
    }
  }
  record.lost = true;
  (void)registry.save(record);
}

}  // namespace

std::optional<SeenRun> look_at(Registry& registry, const Record& record) {
  SeenRun seen{record, state_of(record), {}};
  if (seen.state == RunState::kLost && !record.lost) {
    // Its supervisor may have done its work and ended since the record was read.
    auto now = registry.load(record.name);
    if (!now.ok() || !now->same_run(record)) return std::nullopt;
    seen = {*now, state_of(*now), {}};
    if (seen.state == RunState::kLost && !seen.record.lost) clear_up(registry, seen.record);
  }
  if (seen.record.usage) {
    seen.usage = *seen.record.usage;
  } else if (seen.state == RunState::kRunning && !record.engine.empty()) {
    look_at_container(seen);
  } else if (seen.state == RunState::kRunning) {
    if (!record.group.empty()) {
      if (auto group = RunGroup::open_to_read(record.group); group.ok())
        seen.usage = group->usage();
    } else {
      seen.usage = usage_of_process(record.process.pid);
    }
  }
  return seen;
}

void clear_lost(Registry& registry) {
  for (const auto& record : registry.load_all()) {
    if (state_of(record) == RunState::kLost) (void)look_at(registry, record);
  }
}

Result<void> forget(Registry& registry, const Record& record) {
  if (is_detached_container(record)) {
    POCKET_RETURN_IF_ERROR(remove_container(record.engine, record.container));
  }
  registry.remove(record);
  return ok_result();
}

Result<int> wait_for_run(Registry& registry, const std::string& name, bool keep) {
  const UniqueFd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!events.valid() ||
      ::inotify_add_watch(events.get(), registry.folder().c_str(), IN_MOVED_TO | IN_DELETE) < 0) {
    return errno_error(fmt::format("watching '{}'", registry.folder()), errno);
  }
  POCKET_ASSIGN_OR_RETURN(UniqueFd watched, registry.open_for_waiting(name));
  POCKET_ASSIGN_OR_RETURN(Record record, registry.load(name));
  if (is_detached_container(record)) {
    POCKET_ASSIGN_OR_RETURN(const int status, wait_for_container(record.engine, record.container));
    if (!keep) POCKET_RETURN_IF_ERROR(forget(registry, record));
    return status;
  }
  for (;;) {
    // Before the look at its state, so that its end in between is noticed.
    const UniqueFd supervisor(
        static_cast<int>(::syscall(SYS_pidfd_open, record.supervisor.pid, 0)));
    auto now = registry.load(name);
    auto seen = now.ok() && now->same_run(record) ? look_at(registry, *now) : std::nullopt;
    if (!seen) {
      return Error{POCKET_UNAVAILABLE,
                   fmt::format("'{}' was forgotten by somebody else meanwhile", name)};
    }
    if (seen->state == RunState::kExited || seen->state == RunState::kLost) {
      if (!keep) registry.release(seen->record, watched);
      if (seen->state == RunState::kExited) return *seen->record.exit_status;
      return Error{POCKET_UNAVAILABLE,
                   fmt::format("'{}' is lost: its supervisor was killed, so nobody knows how it "
                               "ended; what was left of it has been removed",
                               name)};
    }
    if (seen->state == RunState::kUnknown) {
      return Error{POCKET_FAILED_PRECONDITION,
                   fmt::format("'{}' belongs to another pid namespace: wait there", name)};
    }
    pollfd entries[2] = {{events.get(), POLLIN, 0}, {supervisor.get(), POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return errno_error("poll", errno);
    char skipped[4096];
    while (::read(events.get(), skipped, sizeof(skipped)) > 0) {
    }
  }
}

}  // namespace pocket::cli
