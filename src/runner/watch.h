// A model that crashed before: its calls are written down while they run, and some are refused.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "pocket/engine.h"
#include "wire/flight.h"

namespace pocket::runner {

/// What pocketd's next look at the book is to find (docs/format-flight.md). Constant once made; any
/// thread.
class Watch : public std::enable_shared_from_this<Watch> {
 public:
  /// A call that is written down as long as this lives.
  class Flight {
   public:
    Flight() = default;
    Flight(std::shared_ptr<const Watch> watch, wire::FlightSlot* slot)
        : watch_(std::move(watch)), slot_(slot) {}
    Flight(Flight&& other) noexcept
        : watch_(std::move(other.watch_)), slot_(std::exchange(other.slot_, nullptr)) {}
    Flight& operator=(Flight&&) = delete;
    ~Flight();

   private:
    std::shared_ptr<const Watch> watch_;  // keeps the book mapped
    wire::FlightSlot* slot_ = nullptr;    // none: the book was full
  };

  /// `book`: as pocketd made it. `model`: its number there.
  static Result<std::shared_ptr<const Watch>> map(const UniqueFd& book, uint32_t model,
                                                  uint64_t seed,
                                                  std::set<wire::RequestDigest> refused);
  /// Before the engine gets these inputs. INVALID_ARGUMENT: the request is quarantined.
  Result<Flight> start(uint32_t channel, std::span<const pocket_engine_input> inputs) const;

 private:
  Watch(Mapping book, uint32_t model, uint64_t seed, std::set<wire::RequestDigest> refused)
      : book_(std::move(book)), model_(model), seed_(seed), refused_(std::move(refused)) {}

  const Mapping book_;
  const uint32_t model_;
  const uint64_t seed_;
  const std::set<wire::RequestDigest> refused_;
};

/// The digest of docs/format-flight.md.
wire::RequestDigest digest_of(std::span<const pocket_engine_input> inputs, uint64_t seed);

}  // namespace pocket::runner
