// A connection to the service: asking it things, and getting it back when it went away.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ipc/control_socket.h"
#include "wire/control.h"

namespace pocket::client {

struct SessionOptions {
  std::string socket_path;  // empty: default_socket_path()
  std::string client_name;  // empty: the program's name
  uint64_t timeout_ns = 0;  // for connecting; 0: 10 s
  bool reconnect = true;
  std::string cpu_policy;  // empty: POCKET_CPU_POLICY, else the service's default
  std::string mem_policy;  // empty: POCKET_MEM_POLICY, else the service's default
};

/// POCKET_SOCKET, else $XDG_RUNTIME_DIR/pocket/pocket.sock where it exists, else
/// /run/pocket/pocket.sock.
std::string default_socket_path();

struct Reply {
  wire::control::MessageT message;
  std::vector<UniqueFd> fds;
  bool lost_fds = false;  // some did not arrive: this process has no free descriptor number
};

/// One control connection. Any thread; requests of several threads are under way at the same time,
/// so that none waits for another one's long load. After fork() the child gets FAILED_PRECONDITION
/// from everything.
class Session {
 public:
  static Result<std::shared_ptr<Session>> connect(SessionOptions options);

  /// Asks and waits for the answer. A Failed answer is returned as its error. A connection that is
  /// gone is made anew first (once), unless the options say never.
  template <typename Table>
  Result<Reply> request(Table body, uint64_t timeout_ns) {
    const uint64_t id = next_id_.fetch_add(1);
    return exchange(id, wire::encode_message(id, std::move(body)), timeout_ns);
  }
  /// Gives a channel back without waiting for the answer.
  void close_channel(uint32_t channel);

  /// FAILED_PRECONDITION in a forked child.
  Result<void> check_process() const;
  /// Counts connections: what was opened under another number is gone.
  uint64_t connection() const { return connection_.load(); }
  /// Becomes readable when something ends without the service: made at the first call, -1 when
  /// there is no descriptor left.
  int event_fd();
  void signal_event();
  void clear_event();
  const std::string& socket_path() const { return options_.socket_path; }
  const std::string& service_version() const { return service_version_; }

 private:
  explicit Session(SessionOptions options);
  /// A request that has no answer yet; lives on the stack of the thread that asked.
  struct Waiting {
    uint64_t id;
    std::optional<Result<Reply>> reply;
    bool lost = false;  // the connection went away before the answer
  };
  using Lock = std::unique_lock<std::mutex>;

  Result<void> connect_now();                            // mutex_ held
  Result<void> greet(int socket, uint64_t deadline_ns);  // mutex_ held
  Result<Reply> exchange(uint64_t id, const std::vector<uint8_t>& packet, uint64_t timeout_ns);
  void await(Lock& lock, Waiting& mine, uint64_t deadline_ns);
  void take_in(Result<ipc::Packet> received);                         // mutex_ held
  void deliver(wire::control::MessageT message, ipc::Packet packet);  // mutex_ held
  void fail_all(const Error& error, bool lost);                       // mutex_ held
  void send_close(uint32_t channel);                                  // mutex_ held

  SessionOptions options_;
  const uint64_t process_;  // fork generation of the process that connected
  std::atomic<uint64_t> next_id_{1};
  std::atomic<uint64_t> connection_{0};
  std::mutex mutex_;
  std::condition_variable changed_;  // an answer came, or nobody reads any more
  UniqueFd socket_;                  // guarded by mutex_; kept while a thread reads
  bool reading_ = false;             // guarded by mutex_: a thread receives for all of them
  std::vector<Waiting*> waiting_;    // guarded by mutex_
  std::string service_version_;      // set while connecting
  std::mutex event_mutex_;
  UniqueFd event_;  // guarded by event_mutex_
};

/// Changes in a forked child; compare with the value remembered before.
uint64_t fork_generation();

}  // namespace pocket::client
