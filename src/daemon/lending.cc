#include "daemon/lending.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/clock.h"
#include "base/ledger_place.h"
#include "cgroup/effective.h"
#include "cgroup/mounts.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;
using cgroup::Controller;

// How often, and how many times, groups of a killed service are tried to be removed.
constexpr uint64_t kStaleRetryNs = kNanosecondsPerSecond / 2;
constexpr uint32_t kStaleRounds = 60;

/// The name of a process as the kernel has it; "" when it has ended, reaped or not.
std::string name_of(const std::string& pid) {
  const auto stat = cgroup::read_text("/proc/" + pid + "/stat");
  if (!stat.ok()) return "";
  const size_t open = stat->find('('), close = stat->rfind(") ");
  if (open == std::string::npos || close == std::string::npos || close < open) return "";
  const char state = stat->c_str()[close + 2];
  return state == 'Z' || state == 'X' ? "" : stat->substr(open, close - open);
}

/// False also for a number that another program has now.
bool is_service(const std::string& pid_text, pid_t pid) {
  if (::kill(pid, 0) != 0) return errno != ESRCH;  // another user's may be one
  return name_of(pid_text) == name_of("self");
}

/// True when `inner` is `outer` or lies below it.
bool lies_in(const std::string& inner, const std::string& outer) {
  return inner == outer || inner.starts_with(outer + "/");
}

}  // namespace

Lending::Lending(EventLoop& loop, const Config& config, Survival& survival)
    : loop_(loop), config_(config), survival_(survival), host_(cgroup::Host::detect()) {
  const bool lends = config_.cpus > 0 || config_.memory > 0;
  // A service that was killed may have lent: its loans come home whatever this one is told to do.
  std::error_code error;
  if (!lends && !std::filesystem::exists(config_.ledger, error)) return;
  for (const Controller controller : cgroup::kBoth) {
    const bool wanted = controller == Controller::kCpu ? config_.cpus > 0 : config_.memory > 0;
    const std::string why = wanted ? host_.why_not(controller) : "";
    if (!why.empty()) {
      note(fmt::format("runners have no {} budget and nothing of it is lent: {}",
                       cgroup::controller_name(controller), why));
    }
  }
  if (host_.layout() == cgroup::Layout::kNone) return;
  remove_stale_groups();
  UniqueFd bell = survival_.keeper.take_left("bell");
  const bool new_bell = !bell.valid();
  std::vector<std::string> repaired;
  auto folder = make_ledger_folder(config_.ledger);
  auto lender = folder.ok() ? Lender::start(config_.ledger, host_,
                                            static_cast<uint64_t>(config_.linger_seconds * 1e9),
                                            std::move(bell), repaired)
                            : Result<std::unique_ptr<Lender>>(folder.error());
  for (const auto& line : repaired) spdlog::warn("ledger: {}", line);
  if (lender.ok()) {
    if (lends) lender_ = std::move(*lender);
    if (lender_ != nullptr && new_bell) {
      survival_.keeper.keep("bell", lender_->bell());
    }
  } else {
    note(fmt::format("nothing is lent: {}", lender.error().message));
  }
}

Lending::~Lending() {
  if (stale_timer_ != 0) {
    loop_.cancel(stale_timer_);
    remove_stale_groups();  // a last time; the loop does not run any more
    if (stale_timer_ != 0) loop_.cancel(stale_timer_);
  }
  lender_.reset();
  remove_ledger_folder(config_.ledger);
  borrowers_.clear();
  if (host_.layout() == cgroup::Layout::kNone) return;
  // The runners' groups share these, so none of them takes them along.
  // And those of runners that died while there was no pocketd.
  (void)remove_groups_of(static_cast<pid_t>(survival_.state.owner()));
  (void)host_.remove_stale(config_.cgroup);  // stays where another service uses it
}

void Lending::note(const std::string& text) {
  spdlog::warn("{}", text);
  notes_.push_back(text);
}

/// This service's own, so that two services on one machine do not meet. The same for a pocketd that
/// takes over the runners of another one.
std::string Lending::parent() const {
  return fmt::format("{}/{}", config_.cgroup, survival_.state.owner());
}

/// Groups of services that were killed. Their runners are about to end, which takes as long as the
/// calls that run in them: what is not empty yet is tried again.
void Lending::remove_stale_groups() {
  namespace fs = std::filesystem;
  std::error_code error;
  std::set<pid_t> dead;
  for (const Controller controller : cgroup::kBoth) {
    const fs::path top = fs::path(host_.mount_point(controller)) / config_.cgroup;
    for (const auto& service : fs::directory_iterator(top, error)) {
      const std::string pid_text = service.path().filename();
      pid_t pid = 0;
      const auto parsed = std::from_chars(pid_text.data(), pid_text.data() + pid_text.size(), pid);
      if (!service.is_directory(error) || parsed.ptr != pid_text.data() + pid_text.size()) continue;
      const bool own = static_cast<uint64_t>(pid) == survival_.state.owner();
      if (!own && !is_service(pid_text, pid)) dead.insert(pid);
    }
  }
  stale_timer_ = 0;
  if (std::ranges::count_if(dead, [this](pid_t pid) { return !remove_groups_of(pid); }) == 0)
    return;
  if (++stale_rounds_ < kStaleRounds) {
    stale_timer_ = loop_.after(kStaleRetryNs, [this] { remove_stale_groups(); });
  }
}

/// True when nothing of it is left.
bool Lending::remove_groups_of(pid_t pid) {
  namespace fs = std::filesystem;
  std::error_code error;
  const std::string name = fmt::format("{}/{}", config_.cgroup, pid);
  bool gone = true;
  for (const Controller controller : cgroup::kBoth) {
    const fs::path folder = fs::path(host_.mount_point(controller)) / name;
    std::vector<std::string> runners;
    for (const auto& runner : fs::directory_iterator(folder, error)) {
      if (runner.is_directory(error)) runners.push_back(runner.path().filename());
    }
    for (const std::string& runner : runners) {
      auto removed = host_.remove_stale(name + "/" + runner);
      gone = gone && removed.ok();
      if (!removed.ok() && stale_rounds_ + 1 == kStaleRounds) {
        spdlog::warn("a group of an earlier service stays: {}", removed.error().message);
      }
    }
  }
  return host_.remove_stale(name).ok() && gone;
}

Result<ClientPolicies> Lending::policies(const std::string& cpu, const std::string& memory) const {
  ClientPolicies policies;
  POCKET_ASSIGN_OR_RETURN(policies.cpu,
                          lease::parse_policy(cpu.empty() ? config_.cpu_policy : cpu));
  POCKET_ASSIGN_OR_RETURN(policies.memory,
                          lease::parse_policy(memory.empty() ? config_.mem_policy : memory));
  return policies;
}

void Lending::runner_ended(const RunnerProcess& runner) {
  const auto found = borrowers_.find(&runner);
  if (found == borrowers_.end()) {
    // It died while there was no pocketd: nobody has taken its group over.
    if (host_.layout() != cgroup::Layout::kNone) {
      (void)host_.remove_stale(fmt::format("{}/runner-{}", parent(), runner.number()));
    }
    return;
  }
  std::erase_if(clients_, [&](const auto& entry) { return entry.first.second == &runner; });
  const uint32_t id = found->second.id;
  auto group =
      std::make_shared<std::unique_ptr<cgroup::OwnedGroup>>(std::move(found->second.group));
  borrowers_.erase(found);
  if (lender_ == nullptr) return;
  // Removed on the lender's thread, because the kernel may take a moment to let go of it.
  lender_->remove_runner(id, [group] { group->reset(); });
}

SideSpec Lending::side(Controller controller, const lease::Policy& policy,
                       const ipc::PeerIdentity& peer, const std::string& borrower) const {
  SideSpec spec;
  spec.policy = policy;
  if (policy.amount == lease::Amount::kNone) {
    spec.note = "the policy is none";
    return spec;
  }
  if (borrower.empty()) {
    spec.note = "the runner's is not limited";
    return spec;
  }
  if (!peer.pidfd.valid()) {
    spec.note = "the client's process is not visible from here, or has ended";
    return spec;
  }
  const auto own = host_.group_of(controller, peer.pid, peer.pidfd.get());
  auto limit = own.ok() ? cgroup::effective_limit(host_, controller, *own)
                        : Result<cgroup::EffectiveLimit>(own.error());
  if (!limit.ok()) {
    spec.note = limit.error().message;
  } else if (!limit->limited()) {
    spec.note = fmt::format("unlimited: '{}' and the groups above it have no limit", *own);
  } else if (lies_in(borrower, limit->tightest)) {
    spec.note =
        fmt::format("the client's limit, '{}', holds for the runner as well", limit->tightest);
  } else {
    spec.group = limit->tightest;
  }
  return spec;
}

uint32_t Lending::attach(uint64_t session, const ipc::PeerIdentity& peer, const std::string& name,
                         const ClientPolicies& policies, const RunnerProcess& runner) {
  return add_client(session, peer, name, policies, runner, std::nullopt);
}

void Lending::attach_adopted(uint64_t session, const ipc::PeerIdentity& peer,
                             const std::string& name, const ClientPolicies& policies,
                             const RunnerProcess& runner, uint32_t slot) {
  (void)add_client(session, peer, name, policies, runner, slot);
}

uint32_t Lending::add_client(uint64_t session, const ipc::PeerIdentity& peer,
                             const std::string& name, const ClientPolicies& policies,
                             const RunnerProcess& runner, std::optional<uint32_t> slot) {
  const auto borrower = borrowers_.find(&runner);
  if (borrower == borrowers_.end() || borrower->second.board == nullptr) return wire::kNoBoardSlot;
  const auto key = std::pair(session, &runner);
  if (const auto known = clients_.find(key); known != clients_.end()) {
    known->second.channels += 1;
    return known->second.slot;
  }
  ClientSpec spec;
  spec.cpu = side(Controller::kCpu, policies.cpu, peer, borrower->second.cpu_group);
  spec.memory = side(Controller::kMemory, policies.memory, peer, borrower->second.memory_group);
  const bool lends = !spec.cpu.group.empty() || !spec.memory.group.empty();
  Client client;
  client.channels = 1;
  if (slot) {
    client.slot = *slot;
    borrower->second.board->take_given(*slot);
  } else {
    client.slot = lends ? borrower->second.board->take_slot() : wire::kNoBoardSlot;
  }
  clients_[key] = client;
  spec.session = session;
  spec.pid = peer.pid;
  spec.name = name;
  spec.runner = borrower->second.id;
  spec.slot = client.slot;
  lender_->add_client(std::move(spec));
  return client.slot;
}

void Lending::detach(uint64_t session, const RunnerProcess* runner) {
  const auto found = clients_.find(std::pair(session, runner));
  const auto borrower = borrowers_.find(runner);
  if (found == clients_.end() || borrower == borrowers_.end()) return;
  if (--found->second.channels > 0) return;
  lender_->remove_client(borrower->second.id, session);
  if (found->second.slot != wire::kNoBoardSlot) {
    borrower->second.board->give_slot(found->second.slot);
  }
  clients_.erase(found);
}

void Lending::report(bool reconcile, std::function<void(control::LeasesT)> done) {
  auto finish = [this, done = std::move(done)](control::LeasesT leases) {
    leases.notes = notes_;
    if (config_.cpus <= 0 && config_.memory == 0) {
      leases.notes.push_back(
          "nothing is lent: runners have no budget of their own, so they cannot run short "
          "(budget.cpus and budget.memory set one)");
    }
    done(std::move(leases));
  };
  if (lender_ == nullptr) {
    finish({});
    return;
  }
  lender_->report(reconcile, [this, finish](control::LeasesT leases) {
    auto shared = std::make_shared<control::LeasesT>(std::move(leases));
    loop_.post([finish, shared] { finish(std::move(*shared)); });
  });
}

}  // namespace pocket::daemon
