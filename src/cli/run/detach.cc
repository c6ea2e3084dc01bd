#include "cli/run/detach.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pocket::cli {
namespace {

void write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t bytes = ::write(fd, text.data() + done, text.size() - done);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return;
    done += static_cast<size_t>(bytes);
  }
}

/// In the new process: away from the terminal and from every descriptor that was inherited, so
/// that nobody who waits for the end of a pipe waits for this one.
void leave(const UniqueFd& told, const UniqueFd& output) {
  ::setsid();
  const int lower = std::min(told.get(), output.get());
  const int upper = std::max(told.get(), output.get());
  if (lower > 3) ::close_range(3, static_cast<unsigned>(lower - 1), 0);
  if (upper > lower + 1) {
    ::close_range(static_cast<unsigned>(lower + 1), static_cast<unsigned>(upper - 1), 0);
  }
  ::close_range(static_cast<unsigned>(upper + 1), ~0U, 0);
}

}  // namespace

void Background::report(const Result<std::string>& text) {
  if (!told_.valid()) return;
  write_all(told_.get(), text.ok() ? "+" + *text : "-" + text.error().message);
  told_.reset();
}

Result<std::string> in_background(const std::string& log,
                                  const std::function<void(Background&, int)>& work) {
  UniqueFd output(log.empty()
                      ? ::open("/dev/null", O_RDWR | O_CLOEXEC)
                      : ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!output.valid()) {
    return errno_error(fmt::format("opening '{}'", log.empty() ? "/dev/null" : log), errno);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  UniqueFd reader(ends[0]), writer(ends[1]);
  const pid_t first = ::fork();
  if (first < 0) return errno_error("fork", errno);
  if (first == 0) {
    reader.reset();
    leave(writer, output);
    // The second process is no leader of its session, so that it never gets a terminal again.
    const pid_t second = ::fork();
    if (second != 0) ::_exit(second < 0 ? 1 : 0);
    const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(nothing.get(), 0);
    ::dup2(output.get(), 1);
    ::dup2(output.get(), 2);
    Background background(std::move(writer));
    work(background, output.get());
    ::_exit(0);
  }
  writer.reset();
  while (::waitpid(first, nullptr, 0) < 0 && errno == EINTR) {
  }
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t bytes = ::read(reader.get(), part, sizeof(part));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) break;
    text.append(part, static_cast<size_t>(bytes));
  }
  if (text.empty()) {
    return Error{POCKET_UNAVAILABLE, "the process in the background ended before it had started"};
  }
  if (text[0] == '+') return text.substr(1);
  return Error{POCKET_UNAVAILABLE, text.substr(1)};
}

}  // namespace pocket::cli
