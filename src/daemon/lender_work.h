// What the lender's thread does when it is awake: which client's loan is out, and since when.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cgroup/group.h"
#include "daemon/cgroup_driver.h"
#include "daemon/lender.h"
#include "daemon/recent_times.h"
#include "daemon/weights.h"
#include "lease/book.h"

namespace pocket::daemon {

/// Belongs to the lender's thread.
class Lender::Work {
 public:
  static Result<std::unique_ptr<Work>> open(const std::string& ledger, const cgroup::Host& host,
                                            uint64_t linger_ns);
  ~Work();

  void add_runner(BorrowerSpec spec);
  void remove_runner(uint32_t id);
  void add_client(ClientSpec spec);
  void remove_client(uint32_t runner, uint64_t session);
  wire::control::LeasesT report(bool reconcile);
  const std::vector<std::string>& repairs() const { return book_->repairs(); }

  /// Looks at everything that runners marked dirty and every timer that is due, and lends or
  /// returns. True when something was found: look again before sleeping.
  bool look();
  /// Tells the runners whether they must ring.
  void set_parked(bool parked);
  /// When look() must be called at the latest; UINT64_MAX: not before the bell rings.
  uint64_t next_due_ns() const;
  void count_wakeup() { wakeups_ += 1; }

 private:
  /// One lender's loan to one runner, shared by the clients in that group: they lend it once.
  struct Pool {
    lease::Resource resource = lease::Resource::kCpu;
    lease::AccountId lender;
    lease::Policy policy;
    int64_t shares = 0;    // the lender's weight, for processors
    uint32_t members = 0;  // clients
    uint32_t users = 0;    // of these, now lending
    bool tried = false;    // since users left 0
    bool changed = false;  // listed in changed_
    lease::Loan loan;
    uint64_t since_ns = 0;
    uint64_t loans = 0;
    int64_t period_us = 0;  // of the lender, when it lent
    uint64_t refused = 0;
    std::string note;
  };
  struct Side {
    SideSpec spec;
    Pool* pool = nullptr;  // none: lends nothing
    bool holds = false;
    std::optional<cgroup::Group> meter;  // `idle`: what the client itself uses
    uint64_t used_ns = 0;
    uint32_t quiet_periods = 0;
  };
  struct Runner;
  struct Client {
    ClientSpec spec;
    Runner* runner = nullptr;
    Side cpu;
    Side memory;
    uint64_t due_ns = 0;          // of its entry in timers_; 0: none
    uint64_t linger_ns = 0;       // `adaptive`, processor: looked at again then; 0: not lending
    uint64_t memory_due_ns = 0;   // `adaptive`, memory: lent then if the same calls still run
    uint64_t idle_due_ns = 0;     // `idle`: measured then
    uint32_t seen_bursts = 0;     // when linger_ns was set
    uint32_t memory_burst = 0;    // when memory_due_ns was set
    uint32_t asked = 0;           // the runner's last question for the memory that was answered
    uint32_t rests_in_burst = 0;  // in these calls memory is not lent again
    bool rests = false;
  };
  struct Runner {
    BorrowerSpec spec;
    std::optional<lease::AccountId> cpu;
    std::optional<lease::AccountId> memory;
    std::unordered_map<std::string, Pool> pools;                    // by resource and group
    std::unordered_map<uint64_t, std::unique_ptr<Client>> clients;  // by session
    std::vector<Client*> by_slot;
    std::vector<Pool*> changed;
    std::vector<Client*> asking;   // wait for their memory
    std::vector<Client*> handled;  // since the last settle()
    std::optional<cgroup::Group> memory_meter;
    int64_t shares = 0;           // its weight as last set
    bool has_room = false;        // its own memory limit is far from reached
    uint64_t room_looked_ns = 0;  // when that was looked at
    uint64_t loans = 0;
    uint64_t returns = 0;
    double borrowed_cpu_seconds = 0;
    double borrowed_byte_seconds = 0;
  };

  Work(const cgroup::Host& host, uint64_t linger_ns)
      : host_(host), weights_(host), driver_(host), linger_ns_(linger_ns) {}

  wire::BoardSlot& slot(const Client& client) const {
    return client.runner->spec.board->slot(client.spec.slot);
  }
  std::optional<lease::AccountId> open_account(lease::Resource resource, const std::string& group);
  void join(Runner& runner, Client& client, Side& side, lease::Resource resource);
  void leave(Runner& runner, Side& side);
  void weigh(Runner& runner);

  void handle(Client& client, uint64_t now_ns);
  void handle_cpu(Client& client, bool busy, uint32_t bursts, uint64_t now_ns);
  void handle_memory(Client& client, bool busy, uint32_t bursts, uint64_t now_ns);
  void handle_timer(Client& client, uint64_t now_ns);
  bool has_room(Runner& runner, uint64_t now_ns);
  /// Whether calls of the client need not be told for its memory's sake: `adaptive` finds long ones
  /// when it looks after the processors.
  bool memory_can_wait(const Client& client) const;
  void measure_idle(Client& client, Side& side, uint64_t now_ns);
  /// Says what the runner shall tell; false when that comes too late for something.
  bool set_wants(Client& client);
  /// Sets wants, and makes up for what came too late. After what handle_... changed.
  void watch(Client& client, uint64_t now_ns);
  void set_timer(Client& client);

  void acquire(Runner& runner, Side& side);
  void release(Runner& runner, Side& side);
  void mark(Runner& runner, Pool& pool);
  /// Makes true what acquire and release asked for, then tells the runner.
  void settle(Runner& runner);
  void return_unused(Runner& runner);
  void lend_wanted(Runner& runner, lease::Resource resource);
  void count_borrowed(Runner& runner, Pool& pool);
  void tell_threads(Runner& runner);
  void tell_lent(const Client& client) const;  // for its receipts
  void answer_asking(Runner& runner);

  const cgroup::Host& host_;
  Weights weights_;
  CgroupDriver driver_;
  std::unique_ptr<lease::Book> book_;  // outlives every loan below: destroyed last but the driver
  const uint64_t linger_ns_;
  std::unordered_map<uint32_t, std::unique_ptr<Runner>> runners_;
  std::set<std::pair<uint64_t, Client*>> timers_;
  uint64_t retry_ns_ = UINT64_MAX;  // loans that are owed are tried again then
  RecentTimes lend_times_;
  RecentTimes return_times_;
  uint64_t wakeups_ = 0;
  std::vector<lease::Ask> asks_;
  std::vector<Pool*> asked_pools_;
  std::vector<lease::Loan> returning_;
};

}  // namespace pocket::daemon
