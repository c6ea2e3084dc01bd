// The book in which a runner writes down its calls in flight (docs/format-flight.md), as pocketd
// reads it after a crash.
#pragma once

#include <cstdint>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/flight.h"

namespace pocket::daemon {

/// One thread. The runner may write anything at any time; everything is copied before it is looked
/// at.
class Flights {
 public:
  struct Entry {
    uint32_t model = 0;
    uint32_t channel = 0;
    wire::RequestDigest digest;
  };
  static Result<Flights> create();
  /// For the runner.
  Result<UniqueFd> duplicate() const;
  std::vector<Entry> running() const;

 private:
  Flights(UniqueFd memory, Mapping mapping)
      : memory_(std::move(memory)), mapping_(std::move(mapping)) {}
  UniqueFd memory_;
  Mapping mapping_;
};

}  // namespace pocket::daemon
