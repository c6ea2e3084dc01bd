// Whether the process at the other end of a socket pair is still there, asked without a message.
#pragma once

namespace pocket::ipc {

/// For one end of a pair of datagram sockets: true once the other end is closed everywhere. Nothing
/// is sent where the other end receives nothing (see keep_from_receiving). When the answer is true
/// the kernel has dropped what was not received yet.
bool other_end_is_closed(int socket);
/// Makes an end one that nothing can be sent to, so that asking it leaves nothing behind.
void keep_from_receiving(int socket);

}  // namespace pocket::ipc
