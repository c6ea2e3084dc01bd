// Where a service remembers its loans, unless its configuration says otherwise.
#pragma once

#include <string>

#include "base/result.h"

namespace pocket {

/// The ledger of the service with this socket, which is an absolute path: a file in a folder of the
/// user's own on tmpfs ($XDG_RUNTIME_DIR, /run, /dev/shm: the first that is one). Not beside the
/// socket, because that folder is mounted into the clients' containers, where a root could write
/// to it. Without any tmpfs: beside the socket all the same. Nothing is made.
std::string default_ledger(const std::string& socket);

/// Makes the folder of default_ledger(), for this user alone. PERMISSION_DENIED: somebody else made
/// it. A ledger in another folder: nothing is done.
Result<void> make_ledger_folder(const std::string& ledger);
/// Removes that folder when it is empty.
void remove_ledger_folder(const std::string& ledger);

}  // namespace pocket
