#include "sandbox/probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/start.h"

namespace pocket::sandbox {
namespace {

constexpr int kPatienceMs = 10'000;

/// Everything the process says until it ends, or is taking too long.
Result<std::string> hear(int reader) {
  std::string text;
  char part[1024];
  while (true) {
    pollfd entry{reader, POLLIN, 0};
    if (::poll(&entry, 1, kPatienceMs) != 1) {
      return Error{POCKET_DEADLINE_EXCEEDED, "it said nothing for 10 s"};
    }
    const ssize_t bytes = ::read(reader, part, sizeof(part));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return text;
    text.append(part, static_cast<size_t>(bytes));
  }
}

}  // namespace

Result<Report> probe(const std::string& runner, const Settings& settings) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  StartRequest request;
  request.command = {runner, "--probe", "--sandbox", modes_text(settings), "--user", settings.user};
  request.output = writer.get();
  POCKET_ASSIGN_OR_RETURN(const StartedProcess started, start_process(request, settings));
  writer.reset();
  auto text = hear(reader.get());
  if (!text.ok()) ::kill(started.pid, SIGKILL);
  ::waitpid(started.pid, nullptr, 0);
  auto report = text.ok() ? Report::parse(*text) : Result<Report>(text.error());
  if (report.ok()) return report;
  return std::move(report).error().with_context(
      fmt::format("finding out how '{}' can be sandboxed", runner));
}

}  // namespace pocket::sandbox
