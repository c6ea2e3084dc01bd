// A connection to the service: asking it things, and getting it back when it went away.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
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
  bool retry = true;       // try again what may succeed a moment later (client/retry.h)
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
  /// gone is made anew first, unless `reconnect` is false or the options say never.
  template <typename Table>
  Result<Reply> request(Table body, uint64_t timeout_ns, bool reconnect = true) {
    const uint64_t id = next_id_.fetch_add(1);
    return exchange(id, wire::encode_message(id, std::move(body)), timeout_ns,
                    reconnect && options_.reconnect);
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
  bool retries() const { return options_.retry; }
  /// The last attempt to connect found nobody listening.
  bool nobody_answers() const { return nobody_.load(); }
  const std::string& socket_path() const { return options_.socket_path; }
  const std::string& service_version() const { return service_version_; }

 private:
  explicit Session(SessionOptions options);
  /// A request that has no answer yet; lives on the stack of the thread that asked.
  struct Waiting {
    uint64_t id;
    const std::vector<uint8_t>* packet;
    std::optional<Result<Reply>> reply;
    bool lost = false;  // the connection went away before the answer
  };

  Result<void> connect_now(uint64_t timeout_ns) POCKET_REQUIRES(mutex_);
  Result<void> connect_again(uint64_t deadline_ns) POCKET_REQUIRES(mutex_);
  Result<void> greet(int socket, uint64_t deadline_ns) POCKET_REQUIRES(mutex_);
  Result<Reply> exchange(uint64_t id, const std::vector<uint8_t>& packet, uint64_t timeout_ns,
                         bool reconnect);
  void await(Waiting& mine, uint64_t deadline_ns) POCKET_REQUIRES(mutex_);
  /// Others may ask meanwhile.
  Result<ipc::Packet> receive(uint64_t deadline_ns) POCKET_REQUIRES(mutex_);
  void take_in(Result<ipc::Packet> received) POCKET_REQUIRES(mutex_);
  void deliver(wire::control::MessageT message, ipc::Packet packet) POCKET_REQUIRES(mutex_);
  void fail_all(const Error& error, bool lost) POCKET_REQUIRES(mutex_);
  void ask_again() POCKET_REQUIRES(mutex_);
  void take_in_unasked() POCKET_REQUIRES(mutex_);
  void send_close(uint32_t channel) POCKET_REQUIRES(mutex_);

  SessionOptions options_;
  const uint64_t process_;  // fork generation of the process that connected
  std::atomic<uint64_t> next_id_{1};
  std::atomic<uint64_t> connection_{0};
  std::atomic<bool> nobody_{false};
  Mutex mutex_;
  Condition changed_;                               // an answer came, or nobody reads any more
  UniqueFd socket_ POCKET_GUARDED_BY(mutex_);       // kept while a thread reads
  bool reading_ POCKET_GUARDED_BY(mutex_) = false;  // a thread receives for all of them
  std::vector<Waiting*> waiting_ POCKET_GUARDED_BY(mutex_);
  std::string service_version_;  // set while connecting
  Mutex event_mutex_;
  UniqueFd event_ POCKET_GUARDED_BY(event_mutex_);
};

/// Changes in a forked child; compare with the value remembered before.
uint64_t fork_generation();

}  // namespace pocket::client
