#include "cli/run/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "cli/run/amounts.h"
#include "cli/run/container.h"

namespace pocket::cli {
namespace {

constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr int kContainerLookMs = 50;

int status_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace

Supervisor::Supervisor(Registry& registry, const RunOptions& options, std::vector<Record> records,
                       uint64_t started_ns)
    : registry_(registry), options_(options), started_ns_(started_ns) {
  for (auto& record : records) runs_.push_back(std::make_unique<Run>(std::move(record)));
}

Supervisor::~Supervisor() {
  for (auto& run : runs_) {
    if (run->ended) continue;
    run->child.reset();
    run->group.reset();
    if (!run->record.engine.empty() && run->file.valid()) {
      (void)remove_container(run->record.engine, run->record.name);
    }
    registry_.remove(run->record);
  }
}

double Supervisor::since_start_ms(uint64_t moment_ns) const {
  return static_cast<double>(moment_ns - started_ns_) / 1e6;
}

Program Supervisor::program_of(const Run& run, std::optional<int> output) const {
  Program program;
  program.output = output;
  if (!run.record.engine.empty()) return program;
  program.command = options_.command;
  program.environment = client_environment(options_);
  program.workdir = options_.workdir;
  if (!options_.limits.cpu_list.empty()) {
    program.cpus = *parse_cpu_list(options_.limits.cpu_list);
  }
  return program;
}

/// A group of its own; none where this user may have none and nothing asks for one.
Result<void> Supervisor::make_group(Run& run) {
  // Written down before it is made: whoever finds this supervisor dead knows what to remove.
  run.record.group = RunGroup::choose_name(run.record.name);
  POCKET_ASSIGN_OR_RETURN(run.file, registry_.save(run.record));
  auto group = RunGroup::create(run.record.group, options_.limits);
  if (group.ok()) {
    run.group.emplace(std::move(group).value());
    return ok_result();
  }
  if (options_.limits.need_group()) {
    return std::move(group).error().with_context(
        fmt::format("'{}' would run without its limits", run.record.name));
  }
  if (options_.verbose) {
    fmt::print(stderr, "pocket: '{}' runs in the group of its caller: {}\n", run.record.name,
               group.error().message);
  }
  run.record.group.clear();
  return ok_result();
}

Result<void> Supervisor::start(Run& run, std::optional<int> output) {
  Program program = program_of(run, output);
  if (!run.record.engine.empty()) {
    POCKET_ASSIGN_OR_RETURN(program.command,
                            container_command(run.record.engine, options_, run.record.name));
    run.record.container = run.record.name;
  } else {
    POCKET_RETURN_IF_ERROR(make_group(run));
    if (run.group) program.join_files = run.group->join_files();
  }
  POCKET_ASSIGN_OR_RETURN(auto child, Child::create(program));
  run.child.emplace(std::move(child));
  if (run.group && program.join_files.empty()) {
    POCKET_RETURN_IF_ERROR(run.group->add(run.child->pid()));
  }
  if (options_.perf) run.perf.emplace(run.child->pid());
  run.record.process = identity_of(run.child->pid());
  POCKET_ASSIGN_OR_RETURN(run.file, registry_.save(run.record));
  POCKET_ASSIGN_OR_RETURN(const uint64_t exec_ns, run.child->execute());
  // Of a container it is the engine's client that runs now, which tells nothing.
  if (run.record.engine.empty()) run.report.exec_ms = since_start_ms(exec_ns);
  return ok_result();
}

Result<void> Supervisor::start(std::optional<int> output) {
  ::signal(SIGCHLD, SIG_DFL);  // ignored, children would leave no status
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  for (const int number : kPassedOn) ::sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return errno_error("sigprocmask", errno);
  signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return errno_error("signalfd", errno);
  for (auto& run : runs_) POCKET_RETURN_IF_ERROR(start(*run, output));
  return ok_result();
}

void Supervisor::pass_on_signals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    // A terminal signals its whole foreground group: the programs have got those themselves.
    if (info.ssi_signo == SIGCHLD || info.ssi_code == SI_KERNEL) continue;
    for (const auto& run : runs_) {
      if (!run->ended) ::kill(run->child->pid(), static_cast<int>(info.ssi_signo));
    }
  }
}

void Supervisor::collect_ended() {
  for (auto& run : runs_) {
    int status = 0;
    rusage used{};
    if (run->ended || ::wait4(run->child->pid(), &status, WNOHANG, &used) <= 0) continue;
    finish(*run, status, used);
  }
}

void Supervisor::finish(Run& run, int wait_status, const rusage& used) {
  run.child->ended();
  run.ended = true;
  auto& record = run.record;
  run.report.name = record.name;
  run.report.exit_status = status_of(wait_status);
  run.report.exit_ms = since_start_ms(monotonic_ns());
  if (run.perf) run.report.perf = run.perf->read();
  if (record.engine.empty()) {
    run.report.usage = usage_of(used);
    if (run.group) run.report.usage = merged(run.group->usage(), run.report.usage);
    const auto peak = run.report.usage.memory_peak_bytes.value_or(0);
    const auto limit = record.limits.memory_bytes;
    if (run.report.exit_status == 128 + SIGKILL && limit != 0 && peak >= limit - limit / 64) {
      fmt::print(stderr, "pocket: '{}' was killed, and had reached its memory limit of {}\n",
                 record.name, memory_text(limit));
    }
  }
  run.report.usage.memory_bytes.reset();
  // First the group, then the word that there is nothing left to do.
  run.group.reset();
  record.exit_status = run.report.exit_status;
  record.ended_ms = wall_clock_ms();
  record.usage = run.report.usage;
  auto saved = registry_.save(record);
  if (!saved.ok()) fmt::print(stderr, "pocket: {}\n", saved.error().message);
  if (!record.detached) registry_.release(record, run.file);
}

/// True once there is nothing more to look for.
bool Supervisor::look_for_container(Run& run) {
  if (run.ended || run.group || run.record.engine.empty() || options_.rusage.empty()) return true;
  const auto state = inspect_container(run.record.engine, run.record.name);
  if (!state.ok() || state->pid == 0) return false;
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, state->pid, 0)));
  auto group = RunGroup::of_process(state->pid);
  if (!process.valid() || !group.ok()) return false;
  run.group.emplace(std::move(group).value());
  run.container_process = std::move(process);
  return true;
}

Result<int> Supervisor::wait() {
  for (;;) {
    collect_ended();
    std::vector<pollfd> entries = {{signals_.get(), POLLIN, 0}};
    bool running = false, found_all = true;
    for (auto& run : runs_) {
      running = running || !run->ended;
      found_all = look_for_container(*run) && found_all;
      if (run->ended || !run->container_process.valid()) continue;
      entries.push_back({run->container_process.get(), POLLIN, 0});
    }
    if (!running) break;
    if (::poll(entries.data(), entries.size(), found_all ? -1 : kContainerLookMs) < 0 &&
        errno != EINTR) {
      return errno_error("poll", errno);
    }
    for (auto& run : runs_) {
      // Its first process has ended, its group is still there: the engine removes it after this.
      pollfd entry{run->container_process.get(), POLLIN, 0};
      if (!run->container_process.valid() || ::poll(&entry, 1, 0) != 1) continue;
      run->report.usage = run->group->usage();
      run->container_process.reset();
    }
    pass_on_signals();
  }
  std::vector<Report> reports;
  int status = 0;
  for (const auto& run : runs_) {
    if (status == 0) status = run->report.exit_status;
    reports.push_back(run->report);
  }
  POCKET_RETURN_IF_ERROR(tell(options_, reports));
  return status;
}

}  // namespace pocket::cli
