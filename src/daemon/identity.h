// Who a client is: what the kernel says of the process that connected, and the socket it came
// through. Nothing here comes from a message.
#pragma once

#include <sys/types.h>

#include <string>

#include "ipc/peer.h"

namespace pocket::daemon {

struct ClientIdentity {
  uid_t uid = 0;
  // Its control groups, each once, '\n' behind each; empty when the process has ended or is not
  // visible from here.
  std::string groups;
  // A process of this machine as this service sees it: visible, in no inner pid namespace, and in
  // no container that the service itself is not in.
  bool local = false;
  std::string socket;  // path

  /// Whether both are one user's processes in one container, or on this machine outside of any:
  /// those can look into each other anyway. False where that cannot be told.
  bool is_same_client(const ClientIdentity& other) const;

  /// The group to show to people; empty when none is known.
  std::string group() const;
};

/// Reads /proc of the peer, and then that the process is still the one that connected.
ClientIdentity identify(const ipc::PeerIdentity& peer, const std::string& socket,
                        const std::string& proc_root = "/proc");

/// Whether one of the groups, or a group above one of them, fits a pattern. `*` stays within one
/// name of the path, as in a shell: "/docker/*" fits every container's group and what is below.
bool group_fits(const std::string& groups, const std::string& pattern);

/// Whether a container that the groups tell of has an id or a name that fits: "1f3a*",
/// "docker 1f3a5b7c9d0e", "kubernetes pod UID*", "systemd camera.service".
bool container_fits(const std::string& groups, const std::string& pattern);

}  // namespace pocket::daemon
