#include "processes.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <sstream>
#include <string_view>
#include <thread>

namespace pocket::testing {
namespace {

std::string proc(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

uint64_t rollup_bytes(pid_t pid, std::initializer_list<std::string_view> keys) {
  std::ifstream file(proc(pid, "smaps_rollup"));
  uint64_t bytes = 0;
  for (std::string word; file >> word;) {
    uint64_t kilobytes = 0;
    if (std::ranges::find(keys, word) != keys.end() && file >> kilobytes) bytes += kilobytes * 1024;
  }
  return bytes;
}

}  // namespace

size_t fd_count(pid_t pid) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(proc(pid, "fd"), error);
  return error ? 0 : static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

size_t settled_fd_count(pid_t pid) {
  size_t count = fd_count(pid);
  for (int unchanged = 0; unchanged < 20; ++unchanged) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const size_t now = fd_count(pid);
    if (now != count) unchanged = 0;
    count = now;
  }
  return count;
}

uint64_t pss_bytes(pid_t pid) { return rollup_bytes(pid, {"Pss:"}); }

uint64_t own_bytes(pid_t pid) { return rollup_bytes(pid, {"Pss_Anon:", "Pss_Shmem:"}); }

uint64_t cpu_ns(pid_t pid) {
  // The clock of another process: nanoseconds, while /proc/PID/stat counts ticks of 10 ms.
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

size_t mappings(pid_t pid, const std::string& text) {
  std::ifstream file(proc(pid, "maps"));
  size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    count += line.find(text) != std::string::npos ? 1 : 0;
  }
  return count;
}

uint64_t status_number(pid_t pid, const std::string& key) {
  std::ifstream file(proc(pid, "status"));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key + ":")) continue;
    std::istringstream rest(line.substr(key.size() + 1));
    uint64_t number = 0;
    rest >> number;
    return number;
  }
  return 0;
}

}  // namespace pocket::testing
