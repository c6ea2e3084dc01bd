// Control messages with file descriptors over a SOCK_SEQPACKET unix socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
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

/// Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERPIDFD where there is one).
struct PeerIdentity {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  UniqueFd pidfd;  // that very process; none when it has ended or is not visible from here
};

/// Listens on a unix socket at `path`. A stale socket file that nobody answers is replaced;
/// a live one is ALREADY_EXISTS. Parent folders are made with mode 0755. Non-blocking.
Result<UniqueFd> listen_control(const std::string& path, mode_t mode);
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

/// `just_connected` false: it may have ended since, and where the kernel does not say which process
/// it was (before Linux 6.5), there is no pidfd.
Result<PeerIdentity> peer_identity(int socket, bool just_connected = true);

}  // namespace pocket::ipc
