#include "common/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

namespace pocket::apps {
namespace {

/// Drops the read-only pages of this program itself; the first object is the program.
int drop_code(dl_phdr_info* program, size_t, void*) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (size_t index = 0; index < program->dlpi_phnum; ++index) {
    const auto& part = program->dlpi_phdr[index];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
    const uintptr_t from = (program->dlpi_addr + part.p_vaddr) & ~(page - 1);
    const uintptr_t to = (program->dlpi_addr + part.p_vaddr + part.p_memsz) & ~(page - 1);
    if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
  return 1;
}

}  // namespace

nlohmann::json memory_of_process() {
  nlohmann::json memory = nlohmann::json::object();
  uint64_t private_bytes = 0;
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string line; std::getline(file, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "Pss: %llu kB", &kilobytes) == 1) {
      memory["pss_bytes"] = kilobytes * 1024;
    } else if (std::sscanf(line.c_str(), "Rss: %llu kB", &kilobytes) == 1) {
      memory["rss_bytes"] = kilobytes * 1024;
    } else if (std::sscanf(line.c_str(), "Private_Clean: %llu kB", &kilobytes) == 1 ||
               std::sscanf(line.c_str(), "Private_Dirty: %llu kB", &kilobytes) == 1) {
      private_bytes += kilobytes * 1024;
    }
  }
  memory["private_bytes"] = private_bytes;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu kB", &kilobytes) == 1) {
      memory["peak_rss_bytes"] = kilobytes * 1024;
    }
  }
  return memory;
}

void give_back_memory() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(drop_code, nullptr);
}

}  // namespace pocket::apps
