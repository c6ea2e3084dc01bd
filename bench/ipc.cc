// What a call through Pocket costs beside its floor: a bare word exchanged between two processes.
//
//   pocket-bench-ipc --socket S --model NAME [--calls N] [--rounds N]
//
// Each round runs every wait mode and its floor, one after the other, so that noise hits them
// alike; the figures are medians over the rounds. The model's input and output stay where they lie.
#include <fmt/format.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <ctime>
#include <string>
#include <vector>

#include "pocket/pocket.h"

namespace {

struct Words {
  alignas(64) std::atomic<uint32_t> there;
  alignas(64) std::atomic<uint32_t> back;
};

struct Options {
  std::string socket;
  std::string model;
  int calls = 2000;
  int rounds = 5;
  int pause_us = 300;
};

struct Quantiles {
  double p50_us;
  double p99_us;
};

double now_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

Quantiles quantiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

void wait_for_change(std::atomic<uint32_t>& word, uint32_t before, bool park) {
  while (word.load(std::memory_order_acquire) == before) {
    if (park) ::syscall(SYS_futex, &word, FUTEX_WAIT, before, nullptr, nullptr, 0);
  }
}

void change(std::atomic<uint32_t>& word, uint32_t value, bool park) {
  word.store(value, std::memory_order_release);
  if (park) ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

/// Two processes, one word each way.
Quantiles floor_times(int calls, bool park, int pause_us = 0) {
  auto* words = static_cast<Words*>(
      ::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t child = ::fork();
  if (child == 0) {
    for (uint32_t turn = 0; turn < static_cast<uint32_t>(calls); ++turn) {
      wait_for_change(words->there, turn, park);
      change(words->back, turn + 1, park);
    }
    ::_exit(0);
  }
  std::vector<double> times;
  for (uint32_t turn = 0; turn < static_cast<uint32_t>(calls); ++turn) {
    if (pause_us > 0) ::usleep(static_cast<useconds_t>(pause_us));
    const double start = now_us();
    change(words->there, turn + 1, park);
    wait_for_change(words->back, turn, park);
    times.push_back(now_us() - start);
  }
  ::waitpid(child, nullptr, 0);
  ::munmap(words, sizeof(Words));
  return quantiles(std::move(times));
}

[[noreturn]] void give_up() {
  fmt::print(stderr, "pocket-bench-ipc: {}\n", pocket_last_error());
  std::exit(1);
}

void must(int32_t status) {
  if (status != POCKET_OK) give_up();
}

/// Sets every input to the model's own shape (1 where it is dynamic).
void set_inputs(pocket_model* model, pocket_call* call) {
  for (uint32_t index = 0; index < pocket_model_input_count(model); ++index) {
    pocket_tensor_info info{};
    must(pocket_model_input_info(model, index, &info));
    for (int axis = 0; axis < info.rank; ++axis)
      info.shape[axis] = std::max<int64_t>(info.shape[axis], 1);
    pocket_tensor tensor{};
    must(pocket_call_input(call, index, info.dtype, info.rank, info.shape, &tensor));
  }
}

Quantiles pocket_times(const Options& options, int32_t wait_mode, int pause_us = 0) {
  pocket_connect_options connect{};
  connect.struct_size = sizeof(connect);
  connect.socket_path = options.socket.empty() ? nullptr : options.socket.c_str();
  connect.wait_mode = wait_mode;
  pocket_session* session = nullptr;
  pocket_model* model = nullptr;
  pocket_call* call = nullptr;
  must(pocket_connect(&connect, &session));
  must(pocket_model_open(session, options.model.c_str(), nullptr, &model));
  must(pocket_call_create(model, &call));
  set_inputs(model, call);
  std::vector<double> times;
  for (int turn = 0; turn < options.calls + 100; ++turn) {
    if (pause_us > 0) ::usleep(static_cast<useconds_t>(pause_us));
    const double start = now_us();
    must(pocket_call_submit(call, POCKET_FOREVER));
    must(pocket_call_wait(call, POCKET_FOREVER));
    if (turn >= 100) times.push_back(now_us() - start);  // the first ones warm up
  }
  pocket_call_destroy(call);
  pocket_model_close(model);
  pocket_session_close(session);
  return quantiles(std::move(times));
}

void print_row(const char* transport, const char* wait, const std::vector<Quantiles>& rounds) {
  std::vector<double> p50;
  std::vector<double> p99;
  for (const auto& round : rounds) {
    p50.push_back(round.p50_us);
    p99.push_back(round.p99_us);
  }
  std::sort(p50.begin(), p50.end());
  std::sort(p99.begin(), p99.end());
  fmt::print("{:8} {:9} {:9.2f} {:9.2f} {:9.2f} {:9.2f}\n", transport, wait, p50[p50.size() / 2],
             p50.front(), p50.back(), p99[p99.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("pocket-bench-ipc: a call through Pocket beside the floor of the mechanism");
  app.add_option("--socket", options.socket, "Socket of the service");
  app.add_option("--model", options.model, "Model to call")->required();
  app.add_option("--calls", options.calls, "Calls in each round")
      ->check(CLI::Range(100, 10'000'000));
  app.add_option("--pause-us", options.pause_us, "Pause before each call of the asleep rows")
      ->check(CLI::Range(100, 1'000'000));
  app.add_option("--rounds", options.rounds, "Rounds")->check(CLI::Range(1, 1000));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::vector<Quantiles> spin_floor, park_floor, asleep_floor, spin, park, asleep, adaptive;
  for (int round = 0; round < options.rounds; ++round) {
    spin_floor.push_back(floor_times(options.calls, false));
    spin.push_back(pocket_times(options, POCKET_WAIT_SPIN));
    adaptive.push_back(pocket_times(options, POCKET_WAIT_ADAPTIVE));
    park_floor.push_back(floor_times(options.calls, true));
    park.push_back(pocket_times(options, POCKET_WAIT_PARK));
    // With a pause before each call both sides are asleep when it comes.
    asleep_floor.push_back(floor_times(options.calls, true, options.pause_us));
    asleep.push_back(pocket_times(options, POCKET_WAIT_PARK, options.pause_us));
  }
  fmt::print("{:8} {:9} {:>9} {:>9} {:>9} {:>9}\n", "", "wait", "p50_us", "p50_min", "p50_max",
             "p99_us");
  print_row("floor", "spin", spin_floor);
  print_row("pocket", "spin", spin);
  print_row("pocket", "adaptive", adaptive);
  print_row("floor", "park", park_floor);
  print_row("pocket", "park", park);
  print_row("floor", "asleep", asleep_floor);
  print_row("pocket", "asleep", asleep);
  return 0;
}
