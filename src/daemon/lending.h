// Who lends to whom: puts runners in groups with a budget, finds the clients' groups, and tells the
// lender (docs/lending.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cgroup/host.h"
#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "daemon/lender.h"
#include "daemon/runner_process.h"
#include "daemon/survival.h"
#include "ipc/peer.h"

namespace pocket::daemon {

/// How a client wants to lend: its policies, or the service's.
struct ClientPolicies {
  lease::Policy cpu;
  lease::Policy memory;
};

/// Loop's thread only.
class Lending {
 public:
  /// Never fails: where nothing can be lent or limited, notes() say why and the rest works.
  Lending(EventLoop& loop, const Config& config, Survival& survival);
  ~Lending();

  /// Whether clients' budgets matter here at all.
  bool enabled() const { return lender_ != nullptr; }
  /// What was asked for and cannot be had, for `pocket service status` and `pocket leases`.
  const std::vector<std::string>& notes() const { return notes_; }

  /// INVALID_ARGUMENT with the grammar when a text is wrong; an empty one means the default.
  Result<ClientPolicies> policies(const std::string& cpu, const std::string& memory) const;

  /// Whether runners get a control group each that divides processors.
  bool divides_processors() const;
  /// A runner was started: gives it its group and its board.
  void runner_started(RunnerProcess& runner);
  /// A runner was adopted: finds its group and its board again.
  void runner_adopted(RunnerProcess& runner);
  /// It has ended: its loans go home, then its group goes.
  void runner_ended(const RunnerProcess& runner);

  /// A channel between a session and a runner is about to be made: the slot to tell the runner.
  uint32_t attach(uint64_t session, const ipc::PeerIdentity& peer, const std::string& name,
                  const ClientPolicies& policies, const RunnerProcess& runner);
  /// The same for a channel that was adopted, with the slot that its runner already has.
  void attach_adopted(uint64_t session, const ipc::PeerIdentity& peer, const std::string& name,
                      const ClientPolicies& policies, const RunnerProcess& runner, uint32_t slot);
  /// That channel is gone.
  void detach(uint64_t session, const RunnerProcess* runner);

  /// `done` is called from the loop.
  void report(bool reconcile, std::function<void(wire::control::LeasesT)> done);

 private:
  struct Borrower {
    uint32_t id = 0;
    std::unique_ptr<cgroup::OwnedGroup> group;  // none where it could not be made
    std::shared_ptr<Board> board;
    std::string cpu_group;
    std::string memory_group;
  };
  struct Client {
    uint32_t slot = 0;
    uint32_t channels = 0;
  };

  void note(const std::string& text);
  void remove_stale_groups();
  bool remove_groups_of(pid_t pid);
  std::vector<cgroup::Controller> limited() const;
  Result<void> limit(Borrower& borrower, pid_t pid, bool adopted);
  void add_borrower(Borrower& borrower, pid_t pid);
  uint32_t add_client(uint64_t session, const ipc::PeerIdentity& peer, const std::string& name,
                      const ClientPolicies& policies, const RunnerProcess& runner,
                      std::optional<uint32_t> slot);
  SideSpec side(cgroup::Controller controller, const lease::Policy& policy,
                const ipc::PeerIdentity& peer, const std::string& borrower) const;
  std::string parent() const;

  EventLoop& loop_;
  const Config& config_;
  Survival& survival_;
  const cgroup::Host host_;
  std::vector<std::string> notes_;
  std::map<const RunnerProcess*, Borrower> borrowers_;
  std::map<std::pair<uint64_t, const RunnerProcess*>, Client> clients_;
  EventLoop::TimerId stale_timer_ = 0;
  uint32_t stale_rounds_ = 0;
  std::unique_ptr<Lender> lender_;  // none: nothing is lent; last, so that it ends first
};

}  // namespace pocket::daemon
