// The thread of pocketd that lends: it alone writes limits, and nothing on the way of a call waits
// for the loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/board.h"
#include "lease/policy.h"
#include "wire/control.h"

namespace pocket::cgroup {
class Host;
}

namespace pocket::daemon {

/// A runner that borrows.
struct BorrowerSpec {
  uint32_t id = 0;
  int pid = 0;
  std::shared_ptr<Board> board;
  std::string cpu_group;                      // "": its processor time is not limited
  std::string memory_group;                   // "": its memory is not limited
  std::vector<std::string> cpu_groups_above;  // Pocket's own, the nearest first
  uint32_t most_threads = 1;                  // more are never of use: the processors it may run on
};

/// What a client lends of one resource. Without a group nothing, and `note` says why.
struct SideSpec {
  lease::Policy policy;
  std::string group;
  std::string note;
};

/// A client session that uses a runner.
struct ClientSpec {
  uint64_t session = 0;
  int pid = 0;
  std::string name;
  uint32_t runner = 0;
  uint32_t slot = 0;
  SideSpec cpu;
  SideSpec memory;
};

/// All functions may be called from one thread, the loop's; what they ask for happens soon, in
/// order. Destroying it gives every loan back first.
class Lender {
 public:
  /// Opens the ledger, where loans of an earlier service are given back; says what was repaired.
  /// `bell`: that of an earlier pocketd whose runners are adopted; none: a new one is made.
  static Result<std::unique_ptr<Lender>> start(const std::string& ledger, const cgroup::Host& host,
                                               uint64_t linger_ns, UniqueFd bell,
                                               std::vector<std::string>& repaired);
  ~Lender();

  void add_runner(BorrowerSpec runner);
  /// `done` is called on the lender's thread once nothing of the runner's groups is used any more.
  void remove_runner(uint32_t runner, std::function<void()> done);
  void add_client(ClientSpec client);
  void remove_client(uint32_t runner, uint64_t session);
  /// `done` gets the report on the lender's thread.
  void report(bool reconcile, std::function<void(wire::control::LeasesT)> done);

  /// The eventfd that runners ring.
  Result<UniqueFd> duplicate_bell() const;
  int bell() const { return bell_.get(); }

 private:
  class Accounts;
  class Work;
  Lender() = default;
  void post(std::function<void(Work&)> task);
  void run(Work& work);

  UniqueFd bell_;
  Mutex mutex_;
  std::vector<std::function<void(Work&)>> posted_ POCKET_GUARDED_BY(mutex_);
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace pocket::daemon
