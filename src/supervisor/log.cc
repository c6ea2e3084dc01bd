#include "supervisor/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "base/unique_fd.h"

namespace pocket::supervisor {
namespace {

bool as_json = false;

/// In quotes, in ASCII, on one line. Bytes beyond ASCII are in a program's path at most: U+FFFD.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      result += {'\\', letter};
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\u%04x", byte);
      result += code.data();
    } else if (byte > 0x7f) {
      if ((byte & 0xc0) != 0x80) result += "\\ufffd";  // one for each character, not each byte
    } else {
      result += letter;
    }
  }
  return result + "\"";
}

}  // namespace

std::string line_of(bool json, const timespec& now, const char* level, const std::string& text) {
  tm local{};
  ::localtime_r(&now.tv_sec, &local);
  std::array<char, 32> day{}, zone{}, milliseconds{};
  std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &local);
  std::snprintf(milliseconds.data(), milliseconds.size(), ".%03ld", now.tv_nsec / 1'000'000);
  const std::string time = std::string(day.data()) + milliseconds.data();
  if (!json) return time + " " + level + " pocket-supervisor: " + text;
  std::strftime(zone.data(), zone.size(), "%z", &local);  // +0100, which wants a colon
  const std::string offset = zone.data();
  return R"({"time":")" + time + offset.substr(0, 3) + ":" + offset.substr(3) + R"(","level":")" +
         level + R"(","program":"pocket-supervisor","pid":)" + std::to_string(::getpid()) +
         R"(,"message":)" + quoted(text) + "}";
}

void say_json(bool json) { as_json = json; }

void say(const char* level, const std::string& text) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::string line = line_of(as_json, now, level, text) + "\n";
  // A log that cannot be written never stops the service.
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void log_to(const std::string& path) {
  const UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644));
  if (file.valid()) ::dup2(file.get(), STDERR_FILENO);
}

}  // namespace pocket::supervisor
