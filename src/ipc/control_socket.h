// Control messages with file descriptors over a SOCK_SEQPACKET unix socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::ipc {

constexpr size_t kMaxControlBytes = size_t{192} * 1024;  // a packet; below a socket's buffer
constexpr size_t kMaxControlFds = 8;

/// One packet: bytes of a FlatBuffer (not verified yet) and the descriptors that came with it.
struct Packet {
  std::vector<uint8_t> bytes;
  std::vector<UniqueFd> fds;
  bool lost_fds = false;  // some did not arrive: this process has no free descriptor number
};

/// Listens on a unix socket at `path`. A stale socket file that nobody answers is replaced;
/// a live one is ALREADY_EXISTS. Parent folders are made with mode 0755. Non-blocking.
/// With `group` the file belongs to that group.
Result<UniqueFd> listen_control(const std::string& path, mode_t mode,
                                std::optional<gid_t> group = std::nullopt);
/// Gives a socket's file its mode and group.
Result<void> set_socket_access(const std::string& path, mode_t mode, std::optional<gid_t> group);
/// Accepts one client, close-on-exec, non-blocking; BUSY when there is none waiting.
Result<UniqueFd> accept_control(int listener);
/// Connects, blocking up to `timeout_ns`. NOT_FOUND: no socket; UNAVAILABLE: nobody listens.
Result<UniqueFd> connect_control(const std::string& path, uint64_t timeout_ns);
/// A connected pair, close-on-exec.
Result<std::pair<UniqueFd, UniqueFd>> control_pair();

/// Sends one packet. BUSY when the peer's buffer is full and the socket does not block,
/// UNAVAILABLE when the peer is gone. Never raises SIGPIPE.
Result<void> send_packet(int socket, std::span<const uint8_t> bytes, std::span<const int> fds = {});
/// Receives one packet. BUSY when none is waiting and the socket does not block, UNAVAILABLE at the
/// end of the connection, DATA_LOSS for a packet that was truncated or that carries more than
/// kMaxControlFds descriptors. Received descriptors are close-on-exec.
Result<Packet> receive_packet(int socket);
/// As above, waiting up to the deadline (CLOCK_MONOTONIC): DEADLINE_EXCEEDED when it passes.
Result<Packet> receive_packet_until(int socket, uint64_t deadline_ns);

}  // namespace pocket::ipc
