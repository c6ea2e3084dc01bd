// pocket-supervisor: keeps pocketd running. `pocket service run` starts it.
//
//   pocket-supervisor [--background] [--ready-fd N] PROGRAM [ARGUMENT ...]
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "supervisor/log.h"
#include "supervisor/supervisor.h"

namespace pocket::supervisor {
namespace {

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  int index = 1;
  for (; index < argc; ++index) {
    const std::string_view word = argv[index];
    if (word == "--background") {
      options.background = true;
    } else if (word == "--ready-fd" && index + 1 < argc) {
      const std::string_view text = argv[++index];
      int fd = -1;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), fd);
      if (read.ptr != text.data() + text.size() || fd <= STDERR_FILENO) return std::nullopt;
      options.ready.reset(fd);
    } else {
      break;
    }
  }
  for (; index < argc; ++index) options.command.push_back(argv[index]);
  if (options.command.empty() || options.command[0][0] == '-') return std::nullopt;
  return options;
}

/// What was inherited by chance would be kept open as long as the service lives.
void close_others(int keep) {
  const auto first = static_cast<unsigned>(STDERR_FILENO) + 1;
  if (keep < 0) {
    ::close_range(first, ~0U, 0);
    return;
  }
  const auto kept = static_cast<unsigned>(keep);
  if (kept > first) ::close_range(first, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
  ::fcntl(keep, F_SETFD, FD_CLOEXEC);
}

}  // namespace
}  // namespace pocket::supervisor

int main(int argc, char** argv) {
  using namespace pocket::supervisor;
  auto options = parse(argc, argv);
  if (!options) {
    std::fputs("usage: pocket-supervisor [--background] [--ready-fd N] PROGRAM [ARGUMENT ...]\n",
               stderr);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);  // whoever waited for readiness may be gone
  ::signal(SIGCHLD, SIG_DFL);
  close_others(options->ready.get());
  auto supervisor = Supervisor::create(std::move(*options));
  if (!supervisor.ok()) {
    say("error", supervisor.error().message);
    return 1;
  }
  return supervisor->run();
}
