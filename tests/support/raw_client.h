// A client of pocketd without libpocket: says what a test wants it to say.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "ipc/control_socket.h"
#include "wire/control.h"

namespace pocket::testing {

/// One connection; one thread. Failures are errors with a message.
class RawClient {
 public:
  static Result<RawClient> connect(const std::string& socket);
  /// Connects and says Hello in the version this build speaks.
  static Result<RawClient> greeted(const std::string& socket);

  /// Sends one message; its number.
  template <typename Table>
  uint64_t say(Table body) {
    const uint64_t id = next_id_++;
    (void)ipc::send_packet(socket_.get(), wire::encode_message(id, std::move(body)));
    return id;
  }
  /// The next message, within 20 s; UNAVAILABLE when the service closed the connection.
  Result<wire::control::MessageT> hear();
  template <typename Table>
  Result<wire::control::MessageT> ask(Table body) {
    say(std::move(body));
    return hear();
  }
  int fd() const { return socket_.get(); }

 private:
  explicit RawClient(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
  uint64_t next_id_ = 1;
};

/// What the service says of itself.
Result<wire::control::StatusT> service_status(const std::string& socket);

/// Looks again and again until `condition` holds, up to 20 s; whether it did.
bool eventually(const std::function<bool()>& condition);

}  // namespace pocket::testing
