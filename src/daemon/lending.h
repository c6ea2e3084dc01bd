// Who lends to whom: puts runners in groups with a budget, finds the clients' groups, and tells the
// lender (docs/lending.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cgroup/host.h"
#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "daemon/lender.h"
#include "daemon/runner_process.h"
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
  Lending(EventLoop& loop, const Config& config);
  ~Lending();

  /// Whether clients' budgets matter here at all.
  bool enabled() const { return lender_ != nullptr; }
  /// What was asked for and cannot be had, for `pocket service status` and `pocket leases`.
  const std::vector<std::string>& notes() const { return notes_; }

  /// INVALID_ARGUMENT with the grammar when a text is wrong; an empty one means the default.
  Result<ClientPolicies> policies(const std::string& cpu, const std::string& memory) const;

  /// A runner was started: gives it its group and its board.
  void runner_started(RunnerProcess& runner);
  /// It has ended: its loans go home, then its group goes.
  void runner_ended(const RunnerProcess& runner);

  /// A channel between a session and a runner is about to be made: the slot to tell the runner.
  uint32_t attach(uint64_t session, const ipc::PeerIdentity& peer, const std::string& name,
                  const ClientPolicies& policies, const RunnerProcess& runner);
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
  Result<void> limit(Borrower& borrower, pid_t pid);
  SideSpec side(cgroup::Controller controller, const lease::Policy& policy,
                const ipc::PeerIdentity& peer, const std::string& borrower) const;
  std::string parent() const;

  EventLoop& loop_;
  const Config& config_;
  const cgroup::Host host_;
  std::vector<std::string> notes_;
  std::map<const RunnerProcess*, Borrower> borrowers_;
  std::map<std::pair<uint64_t, const RunnerProcess*>, Client> clients_;
  uint32_t next_id_ = 1;
  EventLoop::TimerId stale_timer_ = 0;
  uint32_t stale_rounds_ = 0;
  std::unique_ptr<Lender> lender_;  // none: nothing is lent; last, so that it ends first
};

}  // namespace pocket::daemon
