// How a runner stands beside other groups while the processors are short.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "cgroup/host.h"

namespace pocket::daemon {

/// A quota says how much a group may use, its weight how much of that it gets while others want the
/// processors too. A runner that works for ten clients would stand beside ten other groups as one:
/// so it weighs as much as the groups that lend to it, and one more. Weights are not lent: a group
/// that waits for its answer does not use its own.
class Weights {
 public:
  explicit Weights(const cgroup::Host& host) : host_(host) {}

  /// v1's shares of a group; the usual 1024 where they cannot be read.
  int64_t of(const std::string& group) const;
  /// Sets the group's, and gives each of `above` (the nearest first) the sum of the groups in it.
  /// One that somebody else has set, or that cannot be set, stays as it is: less fair, but nothing
  /// fails.
  void set(const std::string& group, int64_t shares, std::span<const std::string> above);
  /// The group is gone: one that gets its name begins anew.
  void forget(const std::string& group) { set_.erase(group); }

 private:
  const cgroup::Host& host_;
  std::unordered_map<std::string, int64_t> set_;  // what the files then held
};

}  // namespace pocket::daemon
