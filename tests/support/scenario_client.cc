// A client for the scenarios: calls a model of one input and one output that must answer with what
// it was sent. One static file, so that it is all that a container image needs.
//
//   scenario-client [OPTION...] MODEL CALLS [NAME [hold]]
//
//   --at-once N    N calls are in flight at the same time (CALLS such rounds)
//   --pause-us N   sleeps before each round
//   --touch-mb N   uses that much memory of its own first
//   --own-limit    reads the memory limit of its own control group before it connects and right
//                  after every answer; fails when it is not the same
//
// Prints "submitted N" when round N is on its way, and "answered CALLS" when every answer was
// right. With `hold` it then stays connected until SIGTERM; SIGUSR1 makes it burn a second of time.
// Exit: 0, 1 a call failed or its answer was wrong, 2 usage.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <deque>
#include <string_view>
#include <vector>

#include "own_limit.h"
#include "pocket/pocket.hpp"

namespace {

constexpr size_t kValues = 4;

struct Options {
  std::string_view model;
  std::string_view name;
  int calls = -1;
  int at_once = 1;
  int pause_us = 0;
  int touch_mb = 0;
  bool own_limit = false;
  bool hold = false;
};

bool read_number(std::string_view text, int& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= 0;
}

/// False: usage.
bool read_options(int argc, char** argv, Options& options) {
  std::vector<std::string_view> words(argv + 1, argv + argc);
  std::vector<std::string_view> plain;
  for (size_t index = 0; index < words.size(); ++index) {
    const std::string_view word = words[index];
    int* number = word == "--at-once"    ? &options.at_once
                  : word == "--pause-us" ? &options.pause_us
                  : word == "--touch-mb" ? &options.touch_mb
                                         : nullptr;
    if (word == "--own-limit") {
      options.own_limit = true;
    } else if (number != nullptr) {
      if (++index == words.size() || !read_number(words[index], *number)) return false;
    } else {
      plain.push_back(word);
    }
  }
  if (plain.size() < 2 || plain.size() > 4 || !read_number(plain[1], options.calls)) return false;
  options.model = plain[0];
  options.name = plain.size() > 2 ? plain[2] : "";
  options.hold = plain.size() == 4 && plain[3] == "hold";
  return options.at_once > 0 && (plain.size() < 4 || options.hold);
}

std::array<float, kValues> values_of_call(int number) {
  std::array<float, kValues> values{};
  for (size_t index = 0; index < kValues; ++index) {
    values[index] = static_cast<float>(number) * 10.0f + static_cast<float>(index) + 0.5f;
  }
  return values;
}

/// Says what it was when it is not `expected` any more.
bool limit_is(long long expected, int round) {
  const long long now = own_memory_limit();
  if (now == expected) return true;
  std::fprintf(stderr, "scenario-client: after answer %d the memory limit is %lld, not %lld\n",
               round, now, expected);
  return false;
}

/// Throws where a call fails; false where an answer is wrong, or the limit is.
bool make_calls(const pocket::Model& model, const Options& options, long long limit) {
  std::deque<pocket::Call> calls;
  for (int index = 0; index < options.at_once; ++index) calls.emplace_back(model);
  for (int round = 1; round <= options.calls; ++round) {
    if (options.pause_us > 0) ::usleep(static_cast<useconds_t>(options.pause_us));
    const auto sent = values_of_call(round);
    for (pocket::Call& call : calls) {
      std::ranges::copy(sent, call.input<float>(0, {kValues}).begin());
      call.submit();
    }
    std::printf("submitted %d\n", round);
    std::fflush(stdout);
    for (pocket::Call& call : calls) call.wait();
    if (options.own_limit && !limit_is(limit, round)) return false;
    for (pocket::Call& call : calls) {
      if (std::ranges::equal(call.output(0).values<float>(), sent)) continue;
      std::fprintf(stderr, "scenario-client: the answer to call %d is not what was sent\n", round);
      return false;
    }
  }
  if (options.own_limit) std::printf("limit %lld after every answer\n", limit);
  std::printf("answered %d\n", options.calls);
  std::fflush(stdout);
  return true;
}

void burn_a_second() {
  std::puts("burning");
  std::fflush(stdout);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) {
  }
  std::puts("burnt");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!read_options(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: scenario-client [--at-once N] [--pause-us N] [--touch-mb N] "
                 "[--own-limit] MODEL CALLS [NAME [hold]]\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  // The first process of a container ignores SIGTERM unless it says otherwise.
  if (options.hold) sigprocmask(SIG_BLOCK, &signals, nullptr);
  const std::vector<char> touched(static_cast<size_t>(options.touch_mb) << 20, 'x');
  const long long limit = options.own_limit ? own_memory_limit() : 0;
  if (limit < 0) {
    std::fprintf(stderr, "scenario-client: its own memory limit cannot be read here\n");
    return 1;
  }
  try {
    // What fails is to be seen.
    const pocket::Session session({.client_name = std::string(options.name), .retry = false});
    const pocket::Model model(session, std::string(options.model));
    if (!make_calls(model, options, limit)) return 1;
    int signal = SIGUSR1;
    while (options.hold && sigwait(&signals, &signal) == 0 && signal == SIGUSR1) burn_a_second();
  } catch (const pocket::StatusError& error) {
    std::fprintf(stderr, "scenario-client: %s\n", error.what());
    return 1;
  }
  return 0;
}
