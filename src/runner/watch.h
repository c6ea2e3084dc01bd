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
#include "runner/turnstile.h"
#include "wire/flight.h"

namespace pocket::runner {

/// What pocketd's next look at the book is to find (docs/format-flight.md). Constant once made; any
/// thread.
class Watch : public std::enable_shared_from_this<Watch> {
 public:
  /// A call that is written down as long as this lives.
  class Flight {
   public:
    /// It has entered the turnstile.
    Flight(std::shared_ptr<const Watch> watch, wire::FlightSlot* slot, bool alone)
        : watch_(std::move(watch)), slot_(slot), alone_(alone) {}
    Flight(Flight&&) = default;
    Flight& operator=(Flight&&) = delete;
    ~Flight();

   private:
    std::shared_ptr<const Watch> watch_;  // none: moved away
    wire::FlightSlot* slot_;              // none: the book was full
    bool alone_;
  };

  /// What pocketd orders for a model that it knows by this number.
  struct Orders {
    uint32_t model = 0;
    uint64_t seed = 0;
    std::set<wire::RequestDigest> refused;
    std::set<wire::RequestDigest> suspects;  // may run, while no other watched call does
  };
  /// `book`: as pocketd made it. `turnstile`: of all watched models of this runner.
  static Result<std::shared_ptr<const Watch>> map(const UniqueFd& book,
                                                  std::shared_ptr<Turnstile> turnstile,
                                                  Orders orders);
  /// Before the engine gets these inputs. INVALID_ARGUMENT: the request is quarantined; BUSY: a
  /// suspect was alone, or waited to be, for too long.
  Result<Flight> start(uint32_t channel, std::span<const pocket_engine_input> inputs) const;

 private:
  Watch(Mapping book, std::shared_ptr<Turnstile> turnstile, Orders orders)
      : book_(std::move(book)), turnstile_(std::move(turnstile)), orders_(std::move(orders)) {}

  const Mapping book_;
  const std::shared_ptr<Turnstile> turnstile_;
  const Orders orders_;
};

/// The digest of docs/format-flight.md.
wire::RequestDigest digest_of(std::span<const pocket_engine_input> inputs, uint64_t seed);

}  // namespace pocket::runner
