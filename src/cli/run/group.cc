#include "cli/run/group.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include "cgroup/host.h"
#include "cgroup/mounts.h"
#include "cli/run/delegated.h"

namespace pocket::cli {
namespace {

using cgroup::Controller;

constexpr const char* kPrefix = "pocket-run-";
constexpr double kPeriodUs = 100'000;  // what a new group has

/// What limits need, or what is there: both where possible, as they also count.
std::vector<std::vector<Controller>> choices(const Limits& limits) {
  const bool cpu = limits.cpus != 0;
  const bool memory = limits.memory_bytes != 0 || limits.oom_kill_disable;
  std::vector<std::vector<Controller>> all = {{Controller::kCpu, Controller::kMemory}};
  if (!memory) all.push_back({Controller::kCpu});
  if (!cpu) all.push_back({Controller::kMemory});
  return all;
}

/// "key value" lines.
std::optional<uint64_t> value_of(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  std::string word;
  uint64_t value = 0;
  while (lines >> word >> value) {
    if (word == key) return value;
  }
  return std::nullopt;
}

std::optional<uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

/// Where v1 counts the processor time of a group; empty where it does not.
std::string accounting_folder(const cgroup::Host& host, const cgroup::Group& cpu) {
  const auto mounts = cgroup::read_text("/proc/self/mountinfo");
  if (!mounts.ok()) return "";
  for (const auto& mount : cgroup::parse_mounts(*mounts)) {
    if (mount.v2 || !mount.has("cpuacct")) continue;
    return mount.point + cpu.path().substr(host.mount_point(Controller::kCpu).size());
  }
  return "";
}

void add_cpu_parts(const cgroup::Host& host, const cgroup::Group& group, Usage& usage) {
  if (!group.v2()) {
    const std::string folder = accounting_folder(host, group);
    usage.cpu_user_ns = number_in(folder + "/cpuacct.usage_user");
    usage.cpu_system_ns = number_in(folder + "/cpuacct.usage_sys");
    return;
  }
  const auto text = cgroup::read_text(group.path() + "/cpu.stat");
  if (!text.ok()) return;
  const auto user = value_of(*text, "user_usec"), system = value_of(*text, "system_usec");
  if (user) usage.cpu_user_ns = *user * 1000;
  if (system) usage.cpu_system_ns = *system * 1000;
}

void add_faults(const cgroup::Group& group, Usage& usage) {
  const auto text = cgroup::read_text(group.path() + "/memory.stat");
  if (!text.ok()) return;
  const std::string prefix = group.v2() ? "" : "total_";  // with the groups below
  const auto all = value_of(*text, prefix + "pgfault");
  const auto major = value_of(*text, prefix + "pgmajfault");
  if (!all || !major || *all < *major) return;
  usage.page_faults_minor = *all - *major;
  usage.page_faults_major = *major;
}

Result<void> disable_oom_kill(const cgroup::Group& group) {
  if (group.v2()) {
    return Error{POCKET_UNIMPLEMENTED,
                 "--oom-kill-disable: cgroup v2 has no such switch (memory.oom_control is v1's); "
                 "leave it out, or set a larger --memory"};
  }
  const std::string path = group.path() + "/memory.oom_control";
  std::ofstream file(path);
  file << "1" << std::flush;
  if (!file) return errno_error(fmt::format("--oom-kill-disable: writing '{}'", path), errno);
  return ok_result();
}

Result<void> set_limits(cgroup::OwnedGroup& group, const Limits& limits) {
  if (limits.cpus != 0) {
    const auto quota = static_cast<int64_t>(std::llround(limits.cpus * kPeriodUs));
    POCKET_RETURN_IF_ERROR(group.cpu().set_cpu_quota(quota));
  }
  if (limits.oom_kill_disable) POCKET_RETURN_IF_ERROR(disable_oom_kill(group.memory()));
  if (limits.memory_bytes != 0) {
    POCKET_RETURN_IF_ERROR(
        group.memory().set_memory_limit(static_cast<int64_t>(limits.memory_bytes)));
  }
  return ok_result();
}

}  // namespace

struct RunGroup::Parts {
  cgroup::Host host;
  std::optional<cgroup::OwnedGroup> owned;   // to be removed in the end
  std::optional<cgroup::Group> cpu, memory;  // only read
};

RunGroup::RunGroup(std::string name, std::unique_ptr<Parts> parts)
    : name_(std::move(name)), parts_(std::move(parts)) {}
RunGroup::RunGroup(RunGroup&&) noexcept = default;

RunGroup::~RunGroup() {
  if (!parts_ || !parts_->owned) return;
  const auto killed = parts_->owned->kill_all();
  const auto removed = parts_->owned->remove(kNanosecondsPerSecond);
  if (!removed.ok()) {
    fmt::print(stderr, "pocket: {}\n",
               killed.ok() ? removed.error().message : killed.error().message);
  }
}

std::string RunGroup::choose_name(const std::string& run) {
  const std::string name = fmt::format("{}{}-{}", kPrefix, run, ::getpid());
  const auto host = cgroup::Host::detect();
  const auto writable = [](const std::string& path) {
    return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
  };
  const std::string top = host.mount_point(Controller::kMemory);
  if (!host.is_v2(Controller::kMemory) || !host.is_v2(Controller::kCpu) || writable(top)) {
    return name;
  }
  const auto own = host.group_of(Controller::kMemory, ::getpid());
  const std::string parent = own.ok() ? delegated_parent(top, *own, writable) : "";
  return parent.empty() ? name : parent + "/" + name;
}

Result<RunGroup> RunGroup::create(const std::string& name, const Limits& limits) {
  auto parts = std::make_unique<Parts>(Parts{cgroup::Host::detect(), {}, {}, {}});
  std::optional<Error> first;
  for (const auto& controllers : choices(limits)) {
    auto group = parts->host.create(name, controllers);
    if (!group.ok()) {
      if (!first) first = std::move(group).error();
      continue;
    }
    parts->owned.emplace(std::move(group).value());
    RunGroup made(name, std::move(parts));
    POCKET_RETURN_IF_ERROR(set_limits(*made.parts_->owned, limits));
    return made;
  }
  first->message +=
      "; limits need root, or a cgroup that is delegated to this user: leave "
      "--memory, --cpus and --oom-kill-disable out, or use sudo";
  return *std::move(first);
}

Result<RunGroup> RunGroup::open(const std::string& name) {
  // It comes from a file; what it names is killed and removed.
  if (!name.substr(name.rfind('/') + 1).starts_with(kPrefix)) {
    return Error{POCKET_INVALID_ARGUMENT, fmt::format("'{}' is not the group of a run", name)};
  }
  auto parts = std::make_unique<Parts>(Parts{cgroup::Host::detect(), {}, {}, {}});
  std::optional<Error> last;
  for (const auto& controllers : choices({})) {
    auto group = parts->host.adopt(name, controllers);
    if (group.ok()) {
      parts->owned.emplace(std::move(group).value());
      return RunGroup(name, std::move(parts));
    }
    last = std::move(group).error();
  }
  return *std::move(last);
}

Result<RunGroup> RunGroup::open_to_read(const std::string& name) {
  POCKET_ASSIGN_OR_RETURN(auto group, open(name));
  auto& parts = *group.parts_;
  const auto read_only = [&](Controller controller, std::optional<cgroup::Group>& target) {
    if (!parts.owned->has(controller)) return;
    auto& source = controller == Controller::kCpu ? parts.owned->cpu() : parts.owned->memory();
    auto opened = parts.host.open(controller, source.path());
    if (opened.ok()) target.emplace(std::move(opened).value());
  };
  read_only(Controller::kCpu, parts.cpu);
  read_only(Controller::kMemory, parts.memory);
  parts.owned->release();
  parts.owned.reset();
  return group;
}

Result<RunGroup> RunGroup::of_process(pid_t process) {
  auto parts = std::make_unique<Parts>(Parts{cgroup::Host::detect(), {}, {}, {}});
  for (const auto controller : {Controller::kCpu, Controller::kMemory}) {
    POCKET_ASSIGN_OR_RETURN(const auto path, parts->host.group_of(controller, process));
    POCKET_ASSIGN_OR_RETURN(auto group, parts->host.open(controller, path));
    (controller == Controller::kCpu ? parts->cpu : parts->memory).emplace(std::move(group));
  }
  return RunGroup("", std::move(parts));
}

Result<void> RunGroup::add(pid_t process) { return parts_->owned->add(process); }

std::vector<std::string> RunGroup::join_files() const {
  auto& owned = *parts_->owned;
  std::vector<std::string> files;
  for (const auto controller : cgroup::kBoth) {
    if (!owned.has(controller)) continue;
    const auto& group = controller == Controller::kCpu ? owned.cpu() : owned.memory();
    if (group.v2()) return {};
    files.push_back(group.path() + "/tasks");
    if (controller == Controller::kMemory) continue;
    const std::string accounting = accounting_folder(parts_->host, group);
    if (!accounting.empty() && accounting != group.path()) files.push_back(accounting + "/tasks");
  }
  return files;
}

Usage RunGroup::usage() {
  auto* owned = parts_->owned ? &*parts_->owned : nullptr;
  const auto part = [&](Controller controller, std::optional<cgroup::Group>& read) {
    if (read) return &*read;
    if (owned == nullptr || !owned->has(controller)) return static_cast<cgroup::Group*>(nullptr);
    return controller == Controller::kCpu ? &owned->cpu() : &owned->memory();
  };
  Usage usage;
  usage.source = "group";
  if (auto* group = part(Controller::kCpu, parts_->cpu)) {
    if (const auto use = group->cpu_use(); use.ok()) {
      usage.cpu_total_ns = use->usage_ns;
      usage.periods = use->periods;
      usage.throttled_periods = use->throttled_periods;
      usage.throttled_ns = use->throttled_ns;
      add_cpu_parts(parts_->host, *group, usage);
    }
  }
  if (auto* group = part(Controller::kMemory, parts_->memory)) {
    if (const auto bytes = group->memory_usage(); bytes.ok()) usage.memory_bytes = *bytes;
    if (const auto bytes = group->memory_peak(); bytes.ok()) usage.memory_peak_bytes = *bytes;
    add_faults(*group, usage);
  }
  return usage;
}

}  // namespace pocket::cli
