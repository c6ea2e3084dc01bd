#include "cli/bench/lend_measure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <functional>

#include "base/clock.h"
#include "cli/admin.h"
#include "cli/bench/report.h"
#include "pocket/pocket.h"

namespace pocket::cli {
namespace {

// More than the client can use even while half of it is lent: throttling is not what is measured.
constexpr int64_t kClientQuotaUs = 400'000;
constexpr int64_t kPeriodUs = 100'000;
constexpr int kRunnerCpus = 2;
constexpr int kWarmUpCalls = 50;
constexpr int kLentCallUs =
    1000;  // long enough for the loan to be out, also where pocketd wakes late
constexpr const char* kTensors =
    "[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
    "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [4]\n";

double thread_cpu_us() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
}

Result<void> checked(int32_t status) {
  if (status == POCKET_OK) return ok_result();
  return Error{static_cast<pocket_status>(status), pocket_last_error()};
}

/// One client with one call that can be made again and again; closes itself.
class Caller {
 public:
  ~Caller() {
    pocket_call_destroy(call_);
    pocket_model_close(model_);
    pocket_session_close(session_);
  }
  Result<void> open(const std::string& socket, const char* model, const std::string& policy,
                    int32_t wait_mode) {
    pocket_connect_options connect{};
    connect.struct_size = sizeof(connect);
    connect.socket_path = socket.c_str();
    connect.client_name = "bench-lend";
    connect.wait_mode = wait_mode;
    connect.cpu_policy = policy.c_str();
    connect.mem_policy = "none";
    POCKET_RETURN_IF_ERROR(checked(pocket_connect(&connect, &session_)));
    POCKET_RETURN_IF_ERROR(checked(pocket_model_open(session_, model, nullptr, &model_)));
    POCKET_RETURN_IF_ERROR(checked(pocket_call_create(model_, &call_)));
    constexpr int64_t kFloats = 4;
    pocket_tensor tensor{};
    return checked(pocket_call_input(call_, 0, POCKET_FLOAT32, 1, &kFloats, &tensor));
  }
  Result<void> call() {
    POCKET_RETURN_IF_ERROR(checked(pocket_call_submit(call_, POCKET_FOREVER)));
    return checked(pocket_call_wait(call_, POCKET_FOREVER));
  }

 private:
  pocket_session* session_ = nullptr;
  pocket_model* model_ = nullptr;
  pocket_call* call_ = nullptr;
};

void pause_for(int pause_us) {
  if (pause_us > 0) ::usleep(static_cast<useconds_t>(pause_us));
}

/// `measure` in a child process that lies in the group: a client is who its process is.
template <typename T>
Result<T> in_group(cgroup::OwnedGroup& group, const std::function<Result<T>()>& measure) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    auto moved = group.add(::getpid());
    auto result = moved.ok() ? measure() : Result<T>(moved.error());
    if (!result.ok()) fmt::print(stderr, "{}\n", result.error().message);
    const bool told = result.ok() && ::write(writer.get(), &*result, sizeof(T)) == sizeof(T);
    ::_exit(told ? 0 : 1);
  }
  writer.reset();
  T result;
  const ssize_t bytes = ::read(reader.get(), &result, sizeof(T));
  ::waitpid(child, nullptr, 0);
  if (bytes == sizeof(T)) return result;
  return Error{POCKET_INTERNAL, "the measuring process failed; its message is above"};
}

Result<LendRound> measure_calls(const std::string& socket, const std::string& policy, LendLoad load,
                                int calls, int pause_us) {
  const bool asleep = load == LendLoad::kAsleep;
  Caller caller;
  POCKET_RETURN_IF_ERROR(
      caller.open(socket, "null", policy, asleep ? POCKET_WAIT_PARK : POCKET_WAIT_ADAPTIVE));
  std::vector<double> times;
  for (int turn = 0; turn < calls + kWarmUpCalls; ++turn) {
    pause_for(asleep ? pause_us : 0);
    const uint64_t start_ns = monotonic_ns();
    POCKET_RETURN_IF_ERROR(caller.call());
    if (turn < kWarmUpCalls) continue;
    times.push_back(static_cast<double>(monotonic_ns() - start_ns) / 1e3);
  }
  return LendRound{quantile(times, 0.5), quantile(times, 0.99)};
}

/// The four writes of a loan and its return, on the same files.
class RawWrites {
 public:
  static Result<RawWrites> open(bool v2, const std::string& lender, const std::string& borrower) {
    RawWrites writes;
    writes.v2_ = v2;
    const char* name = v2 ? "/cpu.max" : "/cpu.cfs_quota_us";
    for (size_t side = 0; side < 2; ++side) {
      const std::string path = (side == 0 ? lender : borrower) + name;
      writes.files_[side].reset(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
      if (!writes.files_[side].valid()) return errno_error("opening " + path, errno);
    }
    constexpr int64_t kRunnerQuotaUs = kRunnerCpus * kPeriodUs;
    constexpr int64_t kLentUs = kClientQuotaUs / 2;
    writes.texts_ = {writes.text(kClientQuotaUs - kLentUs), writes.text(kRunnerQuotaUs + kLentUs),
                     writes.text(kRunnerQuotaUs), writes.text(kClientQuotaUs)};
    return writes;
  }
  /// The two writes of the loan (0) or of its return (1).
  Result<void> write(size_t half) {
    constexpr std::array<size_t, 4> kSides = {0, 1, 1, 0};
    for (size_t index = 2 * half; index < 2 * half + 2; ++index) {
      const std::string& text = texts_[index];
      if (::pwrite(files_[kSides[index]].get(), text.data(), text.size(), 0) < 0) {
        return errno_error("writing a limit", errno);
      }
    }
    return ok_result();
  }

 private:
  std::string text(int64_t quota) const {
    return v2_ ? fmt::format("{} {}", quota, kPeriodUs) : std::to_string(quota);
  }
  bool v2_ = false;
  std::array<UniqueFd, 2> files_;
  std::array<std::string, 4> texts_;
};

/// Processor time of one set of four writes: two after `pause_us`, two more after `call_us`.
Result<double> measure_raw(RawWrites& writes, int sets, int pause_us, int call_us) {
  double used_us = 0;
  for (int set = 0; set < sets; ++set) {
    for (const size_t half : {0, 1}) {
      pause_for(half == 0 ? pause_us : call_us);
      const double before_us = thread_cpu_us();
      POCKET_RETURN_IF_ERROR(writes.write(half));
      used_us += thread_cpu_us() - before_us;
    }
  }
  return used_us / sets;
}

double total_loans(const wire::control::LeasesT& leases) {
  double loans = 0;
  for (const auto& runner : leases.runners) loans += static_cast<double>(runner->total_loans);
  return loans;
}

Result<LendCost> measure_cost(const std::string& socket, bool v2, int calls, int pause_us) {
  Caller caller;
  POCKET_RETURN_IF_ERROR(caller.open(socket, "lent", "func,ratio,0.5", POCKET_WAIT_PARK));
  const auto make_calls = [&](int count) -> Result<void> {
    for (int turn = 0; turn < count; ++turn) {
      pause_for(pause_us);
      POCKET_RETURN_IF_ERROR(caller.call());
    }
    pause_for(pause_us);  // until the last loan is back
    return ok_result();
  };
  POCKET_RETURN_IF_ERROR(make_calls(kWarmUpCalls));
  POCKET_ASSIGN_OR_RETURN(auto session, connect(socket));
  POCKET_ASSIGN_OR_RETURN(const auto before, get_leases(*session, false));
  POCKET_RETURN_IF_ERROR(make_calls(calls));
  POCKET_ASSIGN_OR_RETURN(const auto after, get_leases(*session, false));
  // A report costs time too: what the last one took is taken off.
  POCKET_ASSIGN_OR_RETURN(const auto again, get_leases(*session, false));
  LendCost cost;
  cost.loans = total_loans(after) - total_loans(before);
  std::string lender;
  std::string borrower;
  for (const auto& client : after.clients) {
    for (const auto& side : client->sides) {
      if (client->pid == ::getpid() && side->resource == "cpu") lender = side->group;
    }
  }
  for (const auto& runner : after.runners) borrower = runner->cpu_group;
  if (cost.loans < 1) {
    return Error{POCKET_INTERNAL, fmt::format("{} calls made {} loans", calls, cost.loans)};
  }
  const auto used_ns = static_cast<double>(after.total_cpu_ns - before.total_cpu_ns) -
                       static_cast<double>(again.total_cpu_ns - after.total_cpu_ns);
  cost.pocketd_us = used_ns / 1e3 / cost.loans;
  cost.wakeups = static_cast<double>(after.total_wakeups - before.total_wakeups) / cost.loans;
  POCKET_ASSIGN_OR_RETURN(auto writes, RawWrites::open(v2, lender, borrower));
  POCKET_ASSIGN_OR_RETURN(cost.raw_us, measure_raw(writes, calls, pause_us, kLentCallUs));
  POCKET_ASSIGN_OR_RETURN(cost.raw_together_us, measure_raw(writes, calls, pause_us, 0));
  POCKET_ASSIGN_OR_RETURN(cost.raw_warm_us, measure_raw(writes, calls * 4, 0, 0));
  return cost;
}

}  // namespace

Result<std::unique_ptr<LendBench>> LendBench::create(int pause_us) {
  std::unique_ptr<LendBench> bench(new LendBench(pause_us));
  POCKET_RETURN_IF_ERROR(bench->start());
  return bench;
}

Result<void> LendBench::start() {
  if (const auto why = host_.why_not(cgroup::Controller::kCpu); !why.empty()) {
    return Error{POCKET_FAILED_PRECONDITION, "lending needs control groups: " + why};
  }
  for (auto* service : {&lending_, &off_}) {
    POCKET_ASSIGN_OR_RETURN(*service, LocalService::create());
    POCKET_RETURN_IF_ERROR(
        (*service)->add_null_model("null", fmt::format("mode = 'zeros'\n{}", kTensors)));
    POCKET_RETURN_IF_ERROR((*service)->add_null_model(
        "lent", fmt::format("mode = 'zeros'\ndelay_us = {}\n{}", kLentCallUs, kTensors)));
  }
  POCKET_ASSIGN_OR_RETURN(
      const std::string config,
      lending_->write_config(fmt::format("[budget]\ncpus = {}\ncgroup = 'pocket-bench-lend-{}'\n",
                                         kRunnerCpus, ::getpid())));
  POCKET_RETURN_IF_ERROR(lending_->start({"--config", config}));
  POCKET_RETURN_IF_ERROR(off_->start());
  constexpr std::array<cgroup::Controller, 1> kCpu = {cgroup::Controller::kCpu};
  POCKET_ASSIGN_OR_RETURN(auto group,
                          host_.create(fmt::format("pocket-bench-lent-{}", ::getpid()), kCpu));
  group_ = std::make_unique<cgroup::OwnedGroup>(std::move(group));
  return group_->cpu().set_cpu_limit({kClientQuotaUs, kPeriodUs});
}

Result<LendRound> LendBench::latency(const std::string& policy, LendLoad load, int calls) {
  const bool off = policy == "off";
  const std::string socket = off ? off_->socket() : lending_->socket();
  return in_group<LendRound>(*group_, [&] {
    return measure_calls(socket, off ? "none" : policy, load, calls, pause_us_);
  });
}

Result<LendCost> LendBench::cost(int calls) {
  const bool v2 = host_.is_v2(cgroup::Controller::kCpu);
  return in_group<LendCost>(*group_,
                            [&] { return measure_cost(lending_->socket(), v2, calls, pause_us_); });
}

}  // namespace pocket::cli
