// pocket bench ipc: what a call costs beside its floor, a bare word exchanged between two
// processes.
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/bench/command.h"
#include "cli/bench/report.h"
#include "cli/local_service.h"
#include "pocket/pocket.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

constexpr int64_t kOutputFloats = 1000;  // 4,000 bytes: the scores of an ImageNet classifier
constexpr int kWarmUpCalls = 100;

struct Options {
  std::string json;
  std::vector<int64_t> bytes = {0, 4096, 602'112, 3'600'000, int64_t{64} * 1024 * 1024};
  int calls = 2000;
  int rounds = 5;
  int pause_us = 300;
};

struct Round {
  double p50_us;
  double p99_us;
  double max_us;
};

double now_us() { return static_cast<double>(monotonic_ns()) / 1e3; }

Round summarize(const std::vector<double>& times) {
  return {quantile(times, 0.5), quantile(times, 0.99), quantile(times, 1)};
}

struct Words {
  alignas(64) std::atomic<uint32_t> there;
  alignas(64) std::atomic<uint32_t> back;
};

void wait_for_change(std::atomic<uint32_t>& word, uint32_t before, bool park) {
  while (word.load(std::memory_order_acquire) == before) {
    if (park) ::syscall(SYS_futex, &word, FUTEX_WAIT, before, nullptr, nullptr, 0);
  }
}

void change(std::atomic<uint32_t>& word, uint32_t value, bool park) {
  word.store(value, std::memory_order_release);
  if (park) ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

/// Two processes, one word each way; with a pause before each exchange both of them sleep.
Result<Round> measure_floor(int calls, bool park, int pause_us) {
  void* memory =
      ::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno_error("mmap", errno);
  auto* words = static_cast<Words*>(memory);
  const auto turns = static_cast<uint32_t>(calls);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    for (uint32_t turn = 0; turn < turns; ++turn) {
      wait_for_change(words->there, turn, park);
      change(words->back, turn + 1, park);
    }
    ::_exit(0);
  }
  std::vector<double> times;
  for (uint32_t turn = 0; turn < turns; ++turn) {
    if (pause_us > 0) ::usleep(static_cast<useconds_t>(pause_us));
    const double start = now_us();
    change(words->there, turn + 1, park);
    wait_for_change(words->back, turn, park);
    times.push_back(now_us() - start);
  }
  ::waitpid(child, nullptr, 0);
  ::munmap(memory, sizeof(Words));
  return summarize(times);
}

/// One client as an application would be it; closes itself.
struct Client {
  pocket_session* session = nullptr;
  pocket_model* model = nullptr;
  pocket_call* call = nullptr;

  ~Client() {
    pocket_call_destroy(call);
    pocket_model_close(model);
    pocket_session_close(session);
  }
};

Result<void> checked(int32_t status) {
  if (status == POCKET_OK) return ok_result();
  return Error{static_cast<pocket_status>(status), pocket_last_error()};
}

Result<Round> measure_pocket(const std::string& socket, int64_t bytes, int calls, int32_t wait_mode,
                             int pause_us) {
  Client client;
  pocket_connect_options connect{};
  connect.struct_size = sizeof(connect);
  connect.socket_path = socket.c_str();
  connect.wait_mode = wait_mode;
  POCKET_RETURN_IF_ERROR(checked(pocket_connect(&connect, &client.session)));
  POCKET_RETURN_IF_ERROR(
      checked(pocket_model_open(client.session, "null", nullptr, &client.model)));
  POCKET_RETURN_IF_ERROR(checked(pocket_call_create(client.model, &client.call)));
  const int64_t floats = bytes / 4;
  pocket_tensor tensor{};
  POCKET_RETURN_IF_ERROR(
      checked(pocket_call_input(client.call, 0, POCKET_FLOAT32, 1, &floats, &tensor)));
  std::fill_n(static_cast<float*>(tensor.data), floats, 1.0F);
  std::vector<double> times;
  for (int turn = 0; turn < calls + kWarmUpCalls; ++turn) {
    if (pause_us > 0) ::usleep(static_cast<useconds_t>(pause_us));
    const double start = now_us();
    POCKET_RETURN_IF_ERROR(checked(pocket_call_submit(client.call, POCKET_FOREVER)));
    POCKET_RETURN_IF_ERROR(checked(pocket_call_wait(client.call, POCKET_FOREVER)));
    if (turn >= kWarmUpCalls) times.push_back(now_us() - start);
  }
  return summarize(times);
}

json make_row(const char* transport, const char* wait, int64_t bytes, const Options& options,
              const std::vector<Round>& rounds) {
  std::vector<double> p50, p99, max;
  for (const auto& round : rounds) {
    p50.push_back(round.p50_us);
    p99.push_back(round.p99_us);
    max.push_back(round.max_us);
  }
  return {{"transport", transport},
          {"wait", wait},
          {"bytes_in", bytes},
          {"bytes_out", kOutputFloats * 4},
          {"calls", options.calls * options.rounds},
          {"p50_us", quantile(p50, 0.5)},
          {"p50_min_us", quantile(p50, 0)},
          {"p50_max_us", quantile(p50, 1)},
          {"p99_us", quantile(p99, 0.5)},
          {"max_us", quantile(max, 1)}};
}

/// All the ways of one size, interleaved in each round, so that noise hits them alike.
Result<void> measure_size(const std::string& socket, int64_t bytes, const Options& options,
                          json& rows) {
  std::vector<Round> floor_spin, spin, adaptive, floor_park, park;
  for (int round = 0; round < options.rounds; ++round) {
    show_progress(fmt::format("{} bytes, round {} of {}", bytes, round + 1, options.rounds));
    POCKET_ASSIGN_OR_RETURN(floor_spin.emplace_back(), measure_floor(options.calls, false, 0));
    POCKET_ASSIGN_OR_RETURN(spin.emplace_back(),
                            measure_pocket(socket, bytes, options.calls, POCKET_WAIT_SPIN, 0));
    POCKET_ASSIGN_OR_RETURN(adaptive.emplace_back(),
                            measure_pocket(socket, bytes, options.calls, POCKET_WAIT_ADAPTIVE, 0));
    POCKET_ASSIGN_OR_RETURN(floor_park.emplace_back(),
                            measure_floor(options.calls, true, options.pause_us));
    POCKET_ASSIGN_OR_RETURN(
        park.emplace_back(),
        measure_pocket(socket, bytes, options.calls, POCKET_WAIT_PARK, options.pause_us));
  }
  end_progress();
  rows.push_back(make_row("floor", "spin", bytes, options, floor_spin));
  rows.push_back(make_row("pocket", "spin", bytes, options, spin));
  rows.push_back(make_row("pocket", "adaptive", bytes, options, adaptive));
  rows.push_back(make_row("floor", "park", bytes, options, floor_park));
  rows.push_back(make_row("pocket", "park", bytes, options, park));
  return ok_result();
}

void print_rows(const json& rows) {
  fmt::print("{:>10}  {:9} {:9} {:>9} {:>9} {:>9} {:>9}\n", "bytes in", "transport", "wait",
             "p50 us", "min", "max", "p99 us");
  for (const auto& row : rows) {
    fmt::print("{:>10}  {:9} {:9} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}\n",
               row["bytes_in"].get<int64_t>(), row["transport"].get<std::string>(),
               row["wait"].get<std::string>(), row["p50_us"].get<double>(),
               row["p50_min_us"].get<double>(), row["p50_max_us"].get<double>(),
               row["p99_us"].get<double>());
  }
  fmt::print(
      "park: both sides are asleep when the call comes. min and max are the p50 of rounds.\n");
}

Result<int> run(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto service, LocalService::create());
  POCKET_RETURN_IF_ERROR(service->add_null_model(
      "null",
      fmt::format("mode = 'zeros'\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
                  "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [{}]\n",
                  kOutputFloats)));
  POCKET_RETURN_IF_ERROR(service->start());
  json report = make_report(
      "ipc",
      {{"calls", options.calls}, {"rounds", options.rounds}, {"pause_us", options.pause_us}});
  for (int64_t bytes : options.bytes) {
    POCKET_RETURN_IF_ERROR(measure_size(service->socket(), bytes, options, report["rows"]));
  }
  if (options.json != "-") print_rows(report["rows"]);
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, report));
  return 0;
}

}  // namespace

void add_bench_ipc(CLI::App& bench, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = bench.add_subcommand(
      "ipc", "What a call costs beside a bare word exchanged between two processes");
  add_json_option(*command, options->json);
  command->add_option("--bytes", options->bytes, "Sizes of the input")
      ->check(CLI::Range(0, 1 << 30));
  command->add_option("--calls", options->calls, "Calls in each round")
      ->check(CLI::Range(100, 10'000'000));
  command->add_option("--rounds", options->rounds, "Rounds")->check(CLI::Range(1, 1000));
  command->add_option("--pause-us", options->pause_us, "Pause before each call of the park rows")
      ->check(CLI::Range(100, 1'000'000));
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
