// The memory limit of the process's own control group, as it sees it: on the host, and in a
// container where the engine mounts the group.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <string>

/// The path of this process's memory group below its tree's root: v1's, else v2's.
inline std::string own_memory_group() {
  std::ifstream file("/proc/self/cgroup");
  std::string unified;
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (names.find(",memory,") != std::string::npos) return path;
    if (names == ",,") unified = path;
  }
  return unified;
}

/// A descriptor of its limit file, opened once; -1 where there is none.
inline int own_memory_limit_file() {
  // On a host the file lies at the group's path; in a container the group is the root of what is
  // mounted.
  const std::string group = own_memory_group();
  for (const std::string& below : {group, std::string()}) {
    for (const std::string& file : {"/sys/fs/cgroup/memory" + below + "/memory.limit_in_bytes",
                                    "/sys/fs/cgroup" + below + "/memory.max"}) {
      const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd >= 0) return fd;
    }
  }
  return -1;
}

/// Bytes, by one system call after the first; -1 where the file cannot be read or names no limit.
inline long long own_memory_limit() {
  static const int file = own_memory_limit_file();
  char text[32];
  const ssize_t length = ::pread(file, text, sizeof text, 0);
  long long bytes = -1;
  if (length > 0) std::from_chars(text, text + length, bytes);
  return bytes;
}
