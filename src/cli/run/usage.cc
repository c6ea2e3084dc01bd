#include "cli/run/usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/clock.h"
#include "cli/run/amounts.h"

namespace pocket::cli {
namespace {

struct Figure {
  const char* name;
  std::optional<uint64_t> Usage::*value;
};

constexpr std::array<Figure, 10> kFigures = {{
    {"cpu_total_ns", &Usage::cpu_total_ns},
    {"cpu_user_ns", &Usage::cpu_user_ns},
    {"cpu_system_ns", &Usage::cpu_system_ns},
    {"memory_bytes", &Usage::memory_bytes},
    {"memory_peak_bytes", &Usage::memory_peak_bytes},
    {"page_faults_minor", &Usage::page_faults_minor},
    {"page_faults_major", &Usage::page_faults_major},
    {"periods", &Usage::periods},
    {"throttled_periods", &Usage::throttled_periods},
    {"throttled_ns", &Usage::throttled_ns},
}};

uint64_t nanoseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * kNanosecondsPerSecond +
         static_cast<uint64_t>(time.tv_usec) * 1000;
}

}  // namespace

Usage usage_of(const rusage& used) {
  Usage usage;
  usage.source = "process";
  usage.cpu_user_ns = nanoseconds(used.ru_utime);
  usage.cpu_system_ns = nanoseconds(used.ru_stime);
  usage.cpu_total_ns = *usage.cpu_user_ns + *usage.cpu_system_ns;
  usage.memory_peak_bytes = static_cast<uint64_t>(used.ru_maxrss) * 1024;
  usage.page_faults_minor = static_cast<uint64_t>(used.ru_minflt);
  usage.page_faults_major = static_cast<uint64_t>(used.ru_majflt);
  return usage;
}

Usage usage_of_process(pid_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(stat), {}};
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 10; ++field) fields >> skipped;
  uint64_t minor = 0, major = 0, of_children = 0, user_ticks = 0, system_ticks = 0;
  fields >> minor >> of_children >> major >> of_children >> user_ticks >> system_ticks;
  if (!fields) return {};
  Usage usage;
  usage.source = "process";
  const auto tick_ns = kNanosecondsPerSecond / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  usage.cpu_user_ns = user_ticks * tick_ns;
  usage.cpu_system_ns = system_ticks * tick_ns;
  usage.cpu_total_ns = *usage.cpu_user_ns + *usage.cpu_system_ns;
  usage.page_faults_minor = minor;
  usage.page_faults_major = major;
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  std::string key;
  for (uint64_t kib = 0; status >> key; std::getline(status, skipped)) {
    if (key == "VmHWM:" && status >> kib) usage.memory_peak_bytes = kib * 1024;
    if (key == "VmRSS:" && status >> kib) usage.memory_bytes = kib * 1024;
  }
  return usage;
}

Usage merged(Usage better, const Usage& other) {
  if (better.source.empty()) better.source = other.source;
  for (const auto& figure : kFigures) {
    if (!(better.*figure.value)) better.*figure.value = other.*figure.value;
  }
  return better;
}

nlohmann::json to_json(const Usage& usage) {
  nlohmann::json json = {{"source", usage.source}};
  for (const auto& figure : kFigures) {
    if (usage.*figure.value) json[figure.name] = *(usage.*figure.value);
  }
  return json;
}

Usage usage_from_json(const nlohmann::json& json) {
  Usage usage;
  usage.source = json.value("source", "");
  for (const auto& figure : kFigures) {
    const auto found = json.find(figure.name);
    if (found != json.end() && found->is_number_unsigned()) {
      usage.*figure.value = found->get<uint64_t>();
    }
  }
  return usage;
}

std::string usage_text(const Usage& usage) {
  std::string text;
  const auto milliseconds = [](uint64_t ns) {
    return fmt::format("{:.3f} ms", static_cast<double>(ns) / 1e6);
  };
  const auto line = [&](const char* name, const std::optional<uint64_t>& value, auto&& show) {
    if (value) text += fmt::format("{:16} {}\n", name, show(*value));
  };
  const auto plain = [](uint64_t value) { return std::to_string(value); };
  line("cpu", usage.cpu_total_ns, milliseconds);
  line("cpu, user", usage.cpu_user_ns, milliseconds);
  line("cpu, system", usage.cpu_system_ns, milliseconds);
  line("memory", usage.memory_bytes, memory_text);
  line("memory, peak", usage.memory_peak_bytes, memory_text);
  line("faults, minor", usage.page_faults_minor, plain);
  line("faults, major", usage.page_faults_major, plain);
  if (usage.periods && usage.throttled_periods) {
    text += fmt::format("{:16} {} of {} periods\n", "throttled", *usage.throttled_periods,
                        *usage.periods);
  }
  line("throttled for", usage.throttled_ns, milliseconds);
  return text;
}

}  // namespace pocket::cli
