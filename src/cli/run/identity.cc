#include "cli/run/identity.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace pocket::cli {
namespace {

struct Stat {
  char state = 0;
  uint64_t start_ticks = 0;
};

Stat read_stat(pid_t pid) {
  if (pid <= 0) return {};
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = text.rfind(')');  // the name may hold anything, ") R" too
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  Stat stat;
  std::string skipped;
  fields >> stat.state;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  fields >> stat.start_ticks;
  return fields ? stat : Stat{};
}

}  // namespace

ProcessIdentity identity_of(pid_t pid) { return {pid, read_stat(pid).start_ticks}; }

bool is_running(const ProcessIdentity& process) {
  if (process.pid <= 0 || process.start_ticks == 0) return false;
  const Stat stat = read_stat(process.pid);
  return stat.start_ticks == process.start_ticks && stat.state != 'Z' && stat.state != 'X';
}

const std::string& boot_id() {
  static const std::string id = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    file >> text;
    return text;
  }();
  return id;
}

}  // namespace pocket::cli
