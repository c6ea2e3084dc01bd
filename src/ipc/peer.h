// Who is at the other end of a connection.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::ipc {

/// Who is at the other end, as the kernel says (SO_PEERCRED, SO_PEERPIDFD where there is one).
struct PeerIdentity {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  UniqueFd pidfd;  // that very process; none when it has ended or is not visible from here
};

Result<PeerIdentity> peer_identity(int socket);

/// The path of the socket that a connection was accepted from; empty when it has none.
std::string local_path(int socket);

/// What peer_identity does before Linux 6.5, which has no SO_PEERPIDFD: opens the process by its
/// number, and then looks for signs that the number was given to another one: the connection is
/// closed, that process has ended, or its user is not the peer's. An invalid descriptor then.
UniqueFd open_peer(int socket, const PeerIdentity& peer);

}  // namespace pocket::ipc
