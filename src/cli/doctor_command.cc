// pocket doctor: what this machine offers, what is missing, and what to do about it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/unique_fd.h"
#include "cli/admin.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/local_service.h"

namespace pocket::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char* word(Verdict verdict) {
  return verdict == Verdict::kOk ? "ok" : verdict == Verdict::kWarning ? "warning" : "failed";
}

Check check_kernel() {
  utsname system{};
  ::uname(&system);
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!process.valid()) {
    return {"kernel", Verdict::kFailed,
            fmt::format("{} has no pidfd_open: Linux 5.4 or newer is needed", system.release)};
  }
  return {"kernel", Verdict::kOk, fmt::format("Linux {}", system.release)};
}

/// What the data path stands on: memory that cannot shrink, and descriptors that ring.
Check check_memory_sharing() {
  const UniqueFd memory(::memfd_create("pocket-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid() || ::ftruncate(memory.get(), 4096) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0) {
    return {"shared memory", Verdict::kFailed,
            fmt::format("memfd with seals: {}: a sandbox may forbid memfd_create",
                        std::strerror(errno))};
  }
  const UniqueFd bell(::eventfd(0, EFD_CLOEXEC));
  if (!bell.valid()) {
    return {"shared memory", Verdict::kFailed,
            fmt::format("eventfd: {}: raise the limit of open files (ulimit -n)",
                        std::strerror(errno))};
  }
  return {"shared memory", Verdict::kOk, "memfd with seals, eventfd"};
}

Check check_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto text = fmt::format("{} open files, at most {}", limit.rlim_cur, limit.rlim_max);
  if (limit.rlim_max >= 8192) return {"limits", Verdict::kOk, text};
  return {"limits", Verdict::kWarning,
          text + ": a service needs about four for each open model of a client (ulimit -Hn)"};
}

Check check_machine() {
  std::ifstream file("/proc/meminfo");
  double available_gb = 0;
  std::string key, unit;
  for (double value = 0; file >> key >> value; std::getline(file, unit)) {
    if (key == "MemAvailable:") available_gb = value / 1e6;
  }
  return {"machine", available_gb < 0.3 ? Verdict::kWarning : Verdict::kOk,
          fmt::format("{} processors, {:.1f} GB of memory available",
                      std::thread::hardware_concurrency(), available_gb)};
}

Check check_engines() {
  const fs::path folder = (fs::path(program_folder()) / "../lib/pocket").lexically_normal();
  std::string found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().stem().string();
    const std::string prefix = "libpocket-engine-";
    if (name.rfind(prefix, 0) != 0) continue;
    found += (found.empty() ? "" : ", ") + name.substr(prefix.size());
  }
  if (found.empty()) {
    return {"engines", Verdict::kFailed,
            fmt::format("no engine plugin in '{}': build or install them", folder.string())};
  }
  const bool real = found != "null";
  return {"engines", real ? Verdict::kOk : Verdict::kWarning,
          found + (real ? "" : ": only for tests; `make setup` fetches the real ones") +
              (found.find("tensorflow") == std::string::npos
                   ? "; no tensorflow (tools/setup-tensorflow, then build)"
                   : "")};
}

/// The running service, its budgets and where it remembers loans.
void check_service(const std::string& socket, std::vector<Check>& checks) {
  const std::string place = socket.empty() ? client::default_socket_path() : socket;
  auto session = connect(socket);
  auto status =
      session.ok() ? get_status(**session) : Result<wire::control::StatusT>(session.error());
  if (!status.ok()) {
    checks.push_back(
        {"service", session.ok() ? Verdict::kFailed : Verdict::kWarning, status.error().message});
    checks.push_back(check_ledger(place));
    return;
  }
  checks.push_back(
      {"service", status->ready ? Verdict::kOk : Verdict::kWarning,
       fmt::format("pocketd {} (process {}) on {}, {} clients", status->service_version,
                   status->pid, status->socket, status->sessions.size())});
  checks.push_back(check_ledger(status->socket));
  const auto leases = get_leases(**session, /*reconcile=*/false);
  checks.push_back(leases.ok()
                       ? check_budgets(leases->notes)
                       : Check{"budgets", Verdict::kOk, "not known: " + leases.error().message});
}

/// Empty where it cannot be read.
std::string text_of(const char* path) {
  auto text = cgroup::read_text(path);
  return text.ok() ? *std::move(text) : "";
}

Result<int> examine(const ServiceOptions& options) {
  const auto host = cgroup::Host::detect();
  std::vector<Check> checks = {
      check_kernel(),
      check_machine(),
      check_files(),
      check_memory_sharing(),
      check_engines(),
      check_cgroups(host),
      check_accounting(host, cgroup::parse_mounts(text_of("/proc/self/mountinfo"))),
      check_swap(host, text_of("/proc/meminfo")),
      check_lending(host, ::getpid()),
      check_sandbox(program_folder() + "/pocket-runner")};
  check_service(options.socket, checks);
  bool failed = false;
  json rows = json::array();
  for (const auto& check : checks) {
    failed = failed || check.verdict == Verdict::kFailed;
    rows.push_back({{"check", check.name}, {"verdict", word(check.verdict)}, {"text", check.text}});
    if (options.json != "-") {
      fmt::print("{:8} {:14} {}\n", word(check.verdict), check.name, check.text);
    }
  }
  if (!options.json.empty()) POCKET_RETURN_IF_ERROR(write_json(options.json, rows));
  return failed ? 1 : 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<ServiceOptions>();
  auto* command = app.add_subcommand("doctor", "Check this machine and the service");
  add_service_options(*command, *options);
  command->callback([&action, options] { action = [options] { return examine(*options); }; });
}

}  // namespace pocket::cli
