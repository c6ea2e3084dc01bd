// Descriptors that one pocketd hands in and the next one gets: runners and clients outlive it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::supervisor {

/// Speaks what systemd speaks with its services (FDSTORE=1, FDSTOREREMOVE=1, LISTEN_FDS), over a
/// socket pair whose other end the process inherits as POCKET_KEEPER. One thread.
class Keeper {
 public:
  static Result<Keeper> create();

  /// Readable when the process has something to say.
  int socket() const { return own_.get(); }
  /// Takes in all that was said so far.
  void take_in();
  /// Nothing is kept any more.
  void clear() { kept_.clear(); }

  /// In the child, before exec: what is kept becomes 3, 4 ..., and the environment says so. Moves
  /// the descriptor `*other` (-1: none) out of the way and lets it be inherited.
  void hand_over(int* other) const;

 private:
  struct Kept {
    std::string name;
    UniqueFd fd;
  };
  void take_in_one(const std::string& text, std::vector<UniqueFd> fds);

  UniqueFd own_;
  UniqueFd theirs_;
  std::vector<Kept> kept_;
};

}  // namespace pocket::supervisor
