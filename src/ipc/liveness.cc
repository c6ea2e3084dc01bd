#include "ipc/liveness.h"

#include <sys/socket.h>

#include <cerrno>

namespace pocket::ipc {

bool other_end_is_closed(int socket) {
  // poll() says nothing about the other end of a datagram pair. Sending does: EPIPE when it is
  // there and receives nothing, ECONNREFUSED when it is closed, ENOTCONN once that has been said.
  if (::send(socket, nullptr, 0, MSG_DONTWAIT | MSG_NOSIGNAL) == 0) return false;
  return errno == ECONNREFUSED || errno == ENOTCONN;
}

void keep_from_receiving(int socket) { (void)::shutdown(socket, SHUT_RD); }

}  // namespace pocket::ipc
