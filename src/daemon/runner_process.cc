#include "daemon/runner_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/clock.h"
#include "sandbox/start.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

constexpr uint64_t kExitGraceNs = kNanosecondsPerSecond;
constexpr size_t kMostWords = 512;
// Above pocketd's own: some ten times the weight (sched(7)), of one thread of the runner, which
// gives it up for all the others (runner/hurried_thread.h).
constexpr int kRaised = 10;

std::vector<std::string> command_of(const Config& config, const RunnerStart& start) {
  std::vector<std::string> command = {config.runner,
                                      "--engine",
                                      start.engine,
                                      "--engine-dir",
                                      config.engine_dir,
                                      "--control-fd",
                                      std::to_string(sandbox::kPassedFd),
                                      "--log-level",
                                      config.log.level,
                                      "--log-format",
                                      config.log.format,
                                      "--sandbox",
                                      sandbox::modes_text(config.sandbox),
                                      "--user",
                                      config.sandbox.user};
  const auto add = [&command](const char* option, const std::string& value) {
    command.emplace_back(option);
    command.push_back(value);
  };
  for (const auto& other : start.files.engines) {
    if (other != start.engine) add("--also", other);
  }
  for (const auto& path : start.files.shown) add("--show", path);
  for (const auto& path : config.sandbox_show) add("--show", path);
  if (!start.files.writable.empty()) add("--show-writable", start.files.writable);
  return command;
}

/// From the kernel; -1 when it is not visible from here, or has ended.
pid_t pid_of(const UniqueFd& pidfd) {
  std::ifstream file(fmt::format("/proc/self/fdinfo/{}", pidfd.get()));
  std::string word;
  pid_t pid = -1;
  while (file >> word) {
    if (word == "Pid:" && file >> pid) break;
  }
  return pid;
}

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  // The first process of a PID namespace cannot die of a signal that it sends itself.
  const int signal = WEXITSTATUS(status) - sandbox::kSignalExit;
  if (signal == SIGABRT || signal == SIGSYS) {
    return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
  }
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

/// Only a runner that stopped itself for a system call has a say in it. Its text may be a hostile
/// model's: nothing in it may fake a line of the log.
std::string describe_end(int status, std::string words) {
  const bool stopped =
      WIFEXITED(status) && WEXITSTATUS(status) == sandbox::kSignalExit + SIGSYS && !words.empty();
  if (!stopped) return describe_exit(status);
  std::replace_if(
      words.begin(), words.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  words.resize(words.find_last_not_of(' ') + 1);
  return words;
}

/// How the child of an earlier pocketd ended is not known, but what it said is.
std::string describe_adopted(std::string words) {
  return words.empty() ? "ended"
                       : describe_end((sandbox::kSignalExit + SIGSYS) << 8, std::move(words));
}

/// SIGKILL and the like come from outside. A handler that overran its caller's deadline is no crash
/// either: on a busy machine an honest request may.
bool is_crash(int status) {
  constexpr int kEndedInOrder = 86;  // engines/handler/watchdog.cc
  if (!WIFSIGNALED(status)) {
    return WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != kEndedInOrder;
  }
  const int signal = WTERMSIG(status);
  return signal != SIGKILL && signal != SIGTERM && signal != SIGINT && signal != SIGHUP;
}

}  // namespace

RunnerProcess::RunnerProcess(EventLoop& loop, std::string engine, uint32_t number,
                             Survival& survival, OnDeath on_death)
    : loop_(loop),
      engine_(std::move(engine)),
      number_(number),
      keeper_(survival.keeper),
      on_death_(std::move(on_death)),
      next_id_((survival.state.generation() << 32) + 1) {}

std::string RunnerProcess::kept_name(uint32_t number, const char* what) {
  return fmt::format("runner-{}-{}", number, what);
}

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::spawn(EventLoop& loop, const Config& config,
                                                            RunnerStart start, Survival& survival,
                                                            OnDeath on_death) {
  POCKET_ASSIGN_OR_RETURN(auto pair, ipc::control_pair());
  std::unique_ptr<RunnerProcess> runner(new RunnerProcess(
      loop, start.engine, survival.state.next_runner(), survival, std::move(on_death)));
  sandbox::StartRequest request;
  request.command = command_of(config, start);
  if (start.own_group) {
    const int usual = ::getpriority(PRIO_PROCESS, 0);
    request.priority = std::max(usual - kRaised, -20);
    request.command.insert(request.command.end(), {"--usual-priority", std::to_string(usual)});
  }
  runner->files_ = std::move(start.files);
  request.passed = pair.second.get();
  POCKET_ASSIGN_OR_RETURN(auto started, sandbox::start_process(request, config.sandbox));
  runner->pid_ = started.pid;
  runner->pidfd_ = std::move(started.pidfd);
  // Our end never blocks; the runner's end, another open file, does.
  if (::fcntl(pair.first.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("fcntl", errno);
  survival.keeper.keep(kept_name(runner->number_, "pid"), runner->pidfd_.get());
  survival.keeper.keep(kept_name(runner->number_, "control"), pair.first.get());
  POCKET_RETURN_IF_ERROR(runner->start(std::move(pair.first)));
  spdlog::info("runner {} for engine '{}' started", runner->pid_, start.engine);
  return runner;
}

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::adopt(EventLoop& loop, uint32_t number,
                                                            Survival& survival, OnDeath on_death) {
  UniqueFd control = survival.keeper.take_left(kept_name(number, "control"));
  std::unique_ptr<RunnerProcess> runner(
      new RunnerProcess(loop, "", number, survival, std::move(on_death)));
  runner->pidfd_ = survival.keeper.take_left(kept_name(number, "pid"));
  if (!control.valid() || !runner->pidfd_.valid()) {
    return Error{POCKET_NOT_FOUND, fmt::format("runner number {} was not handed over", number)};
  }
  runner->pid_ = pid_of(runner->pidfd_);
  runner->adopted_ = true;
  POCKET_RETURN_IF_ERROR(runner->start(std::move(control)));
  return runner;
}

Result<void> RunnerProcess::start(UniqueFd control) {
  POCKET_RETURN_IF_ERROR(loop_.watch(pidfd_.get(), EPOLLIN, [this](uint32_t) { reap(); }));
  link_ = std::make_unique<PacketLink>(loop_, std::move(control));
  return link_->start(
      [this](control::MessageT message, std::vector<UniqueFd>) { handle(std::move(message)); },
      // A runner that closes its end is about to exit; one that does not must not linger.
      [this](const Error&) { kill_after(kExitGraceNs); });
}

RunnerProcess::~RunnerProcess() {
  if (kill_timer_ != 0) loop_.cancel(kill_timer_);
  if (refusals_timer_ != 0) loop_.cancel(refusals_timer_);
  if (pidfd_.valid()) {
    loop_.forget(pidfd_.get());
    kill();
    if (pid_ > 0 && !adopted_) ::waitpid(pid_, nullptr, 0);
  }
  for (const char* what : {"control", "pid", "board"}) keeper_.drop(kept_name(number_, what));
}

void RunnerProcess::handle(control::MessageT message) {
  const auto* words = message.body.AsFailed();
  if (message.id == 0 && words != nullptr) last_words_ = words->message.substr(0, kMostWords);
  const auto found = replies_.find(message.id);
  if (message.id == 0) {  // RunnerReady needs no answer
    if (message.body.AsRunnerRefusals() != nullptr) ask_refusals();
    return;
  }
  if (found == replies_.end()) {
    if (const auto* loaded = message.body.AsRunnerLoaded()) loaded_for_another(loaded->model);
    return;
  }
  const Reply reply = std::move(found->second);
  replies_.erase(found);
  if (const auto* failed = message.body.AsFailed()) {
    reply(Error{
        failed->status == POCKET_OK ? POCKET_INTERNAL : static_cast<pocket_status>(failed->status),
        failed->message});
  } else {
    reply(std::move(message));
  }
}

/// Until it says that there are none: then it tells by itself.
void RunnerProcess::ask_refusals() {
  if (asking_refusals_ || !on_refusals_) return;
  asking_refusals_ = true;
  request(control::RunnerGetRefusalsT{}, {}, [this](Result<control::MessageT> reply) {
    auto* refusals = reply.ok() ? reply->body.AsRunnerRefusals() : nullptr;
    if (refusals == nullptr || (refusals->refusals.empty() && refusals->left_out == 0)) {
      asking_refusals_ = false;
      return;
    }
    on_refusals_(std::move(*refusals));
    refusals_timer_ = loop_.after(kNanosecondsPerSecond, [this] {
      refusals_timer_ = 0;
      asking_refusals_ = false;
      ask_refusals();
    });
  });
}

/// An earlier pocketd had promised it to clients, who ask anew. Whether this one uses it is known
/// when the runner has said what it has.
void RunnerProcess::loaded_for_another(uint32_t model) {
  if (!described_) {
    loaded_for_another_.insert(model);
    return;
  }
  if (kept_models_.contains(model)) return;
  control::RunnerUnloadT unload;
  unload.model = model;
  request(std::move(unload), {}, nullptr);
}

void RunnerProcess::unload_others() {
  described_ = true;
  for (const uint32_t model : std::exchange(loaded_for_another_, {})) loaded_for_another(model);
}

void RunnerProcess::shut_down(uint64_t grace_ns) {
  if (shutting_down_) return;
  shutting_down_ = true;
  request(control::RunnerShutdownT{}, {}, nullptr);
  kill_after(grace_ns);
}

void RunnerProcess::kill_after(uint64_t grace_ns) {
  if (kill_timer_ != 0) return;
  kill_timer_ = loop_.after(grace_ns, [this] {
    kill_timer_ = 0;
    spdlog::warn("runner {} did not end in time: killed", pid_);
    kill();
  });
}

void RunnerProcess::kill() {
  if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

Result<UniqueFd> RunnerProcess::flight_book() {
  if (!flights_) {
    POCKET_ASSIGN_OR_RETURN(flights_, Flights::create());
  }
  return flights_->duplicate();
}

std::vector<Flights::Entry> RunnerProcess::flights() const {
  return flights_ ? flights_->running() : std::vector<Flights::Entry>();
}

void RunnerProcess::reap() {
  int status = 0;
  if (!adopted_ && ::waitpid(pid_, &status, WNOHANG) != pid_) return;
  crashed_ = !adopted_ && is_crash(status);
  // What it said before it ended counts: why an engine could not be loaded, for one.
  link_->receive_rest();
  const std::string how =
      adopted_ ? describe_adopted(last_words_) : describe_end(status, last_words_);
  loop_.forget(pidfd_.get());
  pidfd_.reset();
  if (pid_ > 0) {
    spdlog::log(shutting_down_ ? spdlog::level::info : spdlog::level::warn, "runner {} {}", pid_,
                how);
  } else {
    spdlog::warn("a runner {} before it was taken over", how);
  }
  pid_ = -1;
  link_.reset();
  if (refusals_timer_ != 0) loop_.cancel(refusals_timer_);
  refusals_timer_ = 0;
  auto replies = std::move(replies_);
  replies_.clear();
  for (auto& [id, reply] : replies) {
    reply(Error{POCKET_UNAVAILABLE, fmt::format("the runner of the model {}; try again", how)});
  }
  on_death_(*this, how);  // may destroy this
}

bool RunnerProcess::sees(const RunnerFiles& files) const {
  const auto within = [](const std::vector<std::string>& wanted, const auto& known) {
    return std::ranges::all_of(wanted, [&](const std::string& entry) {
      return std::ranges::find(known, entry) != known.end();
    });
  };
  return within(files.shown, files_.shown) && within(files.engines, files_.engines);
}

uint64_t RunnerProcess::memory_bytes() const {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid_));
  std::string word;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if (word == "Pss:" && file >> kilobytes) return kilobytes * 1024;
  }
  // Only who may trace a process is told its proportional memory; all are told its resident one.
  std::ifstream status(fmt::format("/proc/{}/statm", pid_));
  uint64_t size = 0;
  uint64_t resident = 0;
  return status >> size >> resident ? resident * static_cast<uint64_t>(::getpagesize()) : 0;
}

}  // namespace pocket::daemon
