// What systemd (and others that speak its protocol) hear from pocketd: one datagram for each change
// of state to the socket that NOTIFY_SOCKET names.
#pragma once

namespace pocket::daemon {

/// Sends `state`, e.g. "READY=1". Nothing happens where nobody listens. After
/// take_service_manager(), any thread. `fd`: goes with it, -1: none. False: it could not be sent.
bool tell_service_manager(const char* state, int fd = -1);
/// Whether somebody listens.
bool has_service_manager();

/// Takes NOTIFY_SOCKET out of the environment, so that the runners, which are started later, do not
/// have it; it is remembered here. Once, before there are other threads.
void take_service_manager();

}  // namespace pocket::daemon
