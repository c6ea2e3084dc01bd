#include "supervisor/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "base/unique_fd.h"

namespace pocket::supervisor {

void say(const char* level, const std::string& text) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  ::localtime_r(&now.tv_sec, &local);
  std::array<char, 32> day{};
  std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &local);
  std::array<char, 24> milliseconds{};
  std::snprintf(milliseconds.data(), milliseconds.size(), ".%03ld ", now.tv_nsec / 1'000'000);
  const std::string line =
      std::string(day.data()) + milliseconds.data() + level + " pocket-supervisor: " + text + "\n";
  // A log that cannot be written never stops the service.
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void log_to(const std::string& path) {
  const UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644));
  if (file.valid()) ::dup2(file.get(), STDERR_FILENO);
}

}  // namespace pocket::supervisor
