// One control connection of pocketd, to a client or to a runner: packets in, packets out, never
// blocking.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "daemon/event_loop.h"
#include "ipc/control_socket.h"
#include "wire/control.h"

namespace pocket::daemon {

/// Owns a non-blocking SOCK_SEQPACKET socket watched by a loop. Loop's thread only. The callbacks
/// may destroy the link.
class PacketLink {
 public:
  using OnMessage = std::function<void(wire::control::MessageT message, std::vector<UniqueFd> fds)>;
  /// The peer is gone, sent rubbish, or does not read: `reason` says which. Called once.
  using OnClosed = std::function<void(const Error& reason)>;

  static constexpr size_t kMaxQueued = 4096;
  /// What a peer may cost. The defaults are for runners, which are our own.
  struct Limits {
    size_t queued_packets = kMaxQueued;  // that it does not read
    bool answers_first = false;          // take no more requests while it does not read answers
    uint64_t stall_ns = kForever;        // how long it may read nothing while something waits
  };

  PacketLink(EventLoop& loop, UniqueFd socket) : PacketLink(loop, std::move(socket), Limits{}) {}
  PacketLink(EventLoop& loop, UniqueFd socket, Limits limits)
      : loop_(loop), socket_(std::move(socket)), limits_(limits) {}
  ~PacketLink();
  PacketLink(const PacketLink&) = delete;
  PacketLink& operator=(const PacketLink&) = delete;

  Result<void> start(OnMessage on_message, OnClosed on_closed);
  /// Sends at once or, when the peer's buffer is full, later and in order. A peer that lets
  /// more packets pile up than it may is closed.
  void send(std::vector<uint8_t> packet, std::vector<UniqueFd> fds = {});
  /// Takes in what the peer said before it ended. For a peer that is known to be gone.
  void receive_rest();
  int socket() const { return socket_.get(); }

 private:
  struct Outgoing {
    std::vector<uint8_t> bytes;
    std::vector<UniqueFd> fds;
  };
  void handle(uint32_t events);
  void receive();
  bool flush();  // false: the link is closed
  void watch_again();
  void start_stall_timer();
  void stop_stall_timer();
  void close(const Error& reason);

  EventLoop& loop_;
  UniqueFd socket_;
  const Limits limits_;
  OnMessage on_message_;
  OnClosed on_closed_;
  std::deque<Outgoing> outgoing_;
  EventLoop::TimerId stall_timer_ = 0;
  bool started_ = false;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false once destroyed
};

}  // namespace pocket::daemon
