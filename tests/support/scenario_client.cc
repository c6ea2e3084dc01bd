// A client for the scenarios: calls a model of one input and one output that must answer with what
// it was sent. One static file, so that it is all that a container image needs.
//
//   scenario-client MODEL CALLS [NAME [hold]]
//
// Prints "submitted N" when call N is on its way, and "answered CALLS" when every answer was right.
// With `hold` it then stays connected until SIGTERM. Exit: 0, 1 a call failed or its answer was
// wrong, 2 usage.
#include <signal.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "pocket/pocket.hpp"

namespace {

constexpr size_t kValues = 4;

std::array<float, kValues> values_of_call(int number) {
  std::array<float, kValues> values{};
  for (size_t index = 0; index < kValues; ++index) {
    values[index] = static_cast<float>(number) * 10.0f + static_cast<float>(index) + 0.5f;
  }
  return values;
}

/// Throws where a call fails; false where an answer is wrong.
bool make_calls(const pocket::Model& model, int calls) {
  pocket::Call call(model);
  for (int number = 1; number <= calls; ++number) {
    const auto sent = values_of_call(number);
    std::ranges::copy(sent, call.input<float>(0, {kValues}).begin());
    call.submit();
    std::printf("submitted %d\n", number);
    std::fflush(stdout);
    call.wait();
    const pocket::Tensor output = call.output(0);
    if (!std::ranges::equal(output.values<float>(), sent)) {
      std::fprintf(stderr, "scenario-client: the answer to call %d is not what was sent\n", number);
      return false;
    }
  }
  std::printf("answered %d\n", calls);
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view count = argc > 2 ? argv[2] : "";
  int calls = -1;
  std::from_chars(count.data(), count.data() + count.size(), calls);
  const bool hold = argc == 5 && std::string_view(argv[4]) == "hold";
  if (calls < 0 || argc > 5 || (argc == 5 && !hold)) {
    std::fprintf(stderr, "usage: scenario-client MODEL CALLS [NAME [hold]]\n");
    return 2;
  }
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  if (hold) sigprocmask(SIG_BLOCK, &end, nullptr);  // the first process of a container ignores it
  try {
    const pocket::Session session({.client_name = argc > 3 ? argv[3] : ""});
    const pocket::Model model(session, argv[1]);
    if (!make_calls(model, calls)) return 1;
    int signal = 0;
    if (hold) sigwait(&end, &signal);
  } catch (const pocket::StatusError& error) {
    std::fprintf(stderr, "scenario-client: %s\n", error.what());
    return 1;
  }
  return 0;
}
