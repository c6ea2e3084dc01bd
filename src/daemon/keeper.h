// Who holds this process's descriptors while it is dead: pocket-supervisor, or systemd.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::daemon {

/// What is kept under a name here is handed to the next pocketd after a crash or an upgrade (docs/
/// format-state.md lists the names). Loop's thread only.
class Keeper {
 public:
  /// Nobody: nothing is kept and nothing was handed over.
  Keeper() = default;
  /// Reads POCKET_KEEPER, LISTEN_FDS and the like, and takes them out of the environment. Once,
  /// before there are other threads or descriptors.
  static Keeper take();

  /// Whether there is somebody to keep anything.
  bool keeps() const { return to_manager_ || socket_.valid(); }
  /// Hands a copy of the descriptor over. Waits a second at most; a failure is logged, once: what
  /// is not kept is not there after a crash, no more.
  void keep(const std::string& name, int fd);
  /// What is kept under the name is closed.
  void drop(const std::string& name);

  /// What an earlier pocketd left under the name; none when it did not.
  UniqueFd take_left(const std::string& name);
  /// The names of what has not been taken yet.
  std::vector<std::string> left() const;
  /// Drops what nobody took.
  void drop_left();

 private:
  void tell(const std::string& text, int fd);

  UniqueFd socket_;          // to pocket-supervisor
  bool to_manager_ = false;  // systemd is told, through its own socket
  bool failed_ = false;
  std::map<std::string, UniqueFd> left_;
};

}  // namespace pocket::daemon
