// A connection to the service: asking it things, and getting it back when it went away.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/control.h"

namespace pocket::client {

struct SessionOptions {
  std::string socket_path;  // empty: default_socket_path()
  std::string client_name;  // empty: the program's name
  uint64_t timeout_ns = 0;  // for connecting; 0: 10 s
  bool reconnect = true;
};

/// POCKET_SOCKET, else $XDG_RUNTIME_DIR/pocket/pocket.sock where it exists, else
/// /run/pocket/pocket.sock.
std::string default_socket_path();

struct Reply {
  wire::control::MessageT message;
  std::vector<UniqueFd> fds;
};

/// One control connection. Any thread; requests are made one at a time. After fork() the child gets
/// FAILED_PRECONDITION from everything.
class Session {
 public:
  static Result<std::shared_ptr<Session>> connect(SessionOptions options);

  /// Asks and waits for the answer. A Failed answer is returned as its error. A connection that is
  /// gone is made anew first (once), unless the options say never.
  template <typename Table>
  Result<Reply> request(Table body, uint64_t timeout_ns) {
    return exchange(wire::encode_message(next_id_.fetch_add(1), std::move(body)), timeout_ns);
  }

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
  Result<void> connect_now();
  Result<Reply> exchange(const std::vector<uint8_t>& packet, uint64_t timeout_ns);
  Result<Reply> exchange_once(const std::vector<uint8_t>& packet, uint64_t deadline_ns);

  SessionOptions options_;
  const uint64_t process_;  // fork generation of the process that connected
  std::atomic<uint64_t> next_id_{1};
  std::atomic<uint64_t> connection_{0};
  std::mutex mutex_;
  UniqueFd socket_;              // guarded by mutex_
  std::string service_version_;  // set while connecting
  std::mutex event_mutex_;
  UniqueFd event_;  // guarded by event_mutex_
};

/// Changes in a forked child; compare with the value remembered before.
uint64_t fork_generation();

}  // namespace pocket::client
