// What a process may really use: the smallest limit on the way up.
#pragma once

#include <cstdint>
#include <string>

#include "cgroup/host.h"

namespace pocket::cgroup {

/// The limits from one group up to the top of what is mounted.
struct EffectiveLimit {
  std::string nearest;   ///< the first group on the way up (the asked one first) with a limit; ""
  std::string tightest;  ///< the group with the smallest limit, the nearest of equals; "": none
  CpuLimit cpu;          ///< tightest's, when cpu was asked for
  int64_t memory = -1;   ///< tightest's in bytes, when memory was asked for

  bool limited() const { return !tightest.empty(); }
};

/// Reads every level once. Shares of processors are compared as fractions, whatever the periods.
/// Errors as Host::open and Group's reads.
Result<EffectiveLimit> effective_limit(const Host& host, Controller controller,
                                       const std::string& path);

}  // namespace pocket::cgroup
