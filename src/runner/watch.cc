#include "runner/watch.h"

#include <fmt/format.h>

#include <utility>

#include "base/clock.h"
#include "ipc/region.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pocket::runner {

using wire::RequestDigest;

namespace {

// For the others to end, who wait meanwhile; and for one that is alone to end.
constexpr uint64_t kPatienceAloneNs = kNanosecondsPerSecond;
constexpr uint64_t kPatienceNs = 10 * kNanosecondsPerSecond;

}  // namespace

RequestDigest digest_of(std::span<const pocket_engine_input> inputs, uint64_t seed) {
  XXH3_state_t state{};
  XXH3_128bits_reset_withSeed(&state, seed);
  const auto add = [&state](const auto& value) {
    XXH3_128bits_update(&state, &value, sizeof(value));
  };
  for (const auto& input : inputs) {
    add(input.index);
    add(input.dtype);
    add(input.rank);
    for (int32_t axis = 0; axis < input.rank; ++axis) add(input.shape[axis]);
    add(uint64_t{input.bytes});
    XXH3_128bits_update(&state, input.data, input.bytes);
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.low64, hash.high64};
}

Result<std::shared_ptr<const Watch>> Watch::map(const UniqueFd& book,
                                                std::shared_ptr<Turnstile> turnstile,
                                                Orders orders) {
  POCKET_RETURN_IF_ERROR(ipc::verify_region(book.get(), sizeof(wire::FlightBook)));
  POCKET_ASSIGN_OR_RETURN(
      Mapping mapping, Mapping::map(book.get(), sizeof(wire::FlightBook), MapAccess::kReadWrite));
  const auto* header = reinterpret_cast<const wire::FlightBook*>(mapping.data());
  if (header->magic != wire::kFlightMagic || header->version != wire::kFlightVersion) {
    return Error{POCKET_VERSION_MISMATCH, "the book of calls in flight is of another version"};
  }
  return std::shared_ptr<const Watch>(
      new Watch(std::move(mapping), std::move(turnstile), std::move(orders)));
}

Result<Watch::Flight> Watch::start(uint32_t channel,
                                   std::span<const pocket_engine_input> inputs) const {
  const RequestDigest digest = digest_of(inputs, orders_.seed);
  if (orders_.refused.contains(digest)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("this request ended the model's runner before and is quarantined "
                             "(digest {:016x}{:016x}): `pocket models quarantine` shows and "
                             "clears it",
                             digest.high, digest.low)};
  }
  const bool alone = orders_.suspects.contains(digest);
  const uint64_t patience_ns = alone ? kPatienceAloneNs : kPatienceNs;
  if (!turnstile_->enter(alone, deadline_after(patience_ns))) {
    return Error{POCKET_BUSY,
                 "the model's runner crashed before, and requests that were running then run alone "
                 "now: try again"};
  }
  auto* book = reinterpret_cast<wire::FlightBook*>(book_.data());
  for (auto& slot : book->slots) {
    uint32_t expected = wire::kFlightFree;
    if (!slot.running.compare_exchange_strong(expected, wire::kFlightWritten)) continue;
    slot.model = orders_.model;
    slot.channel = channel;
    slot.digest = digest;
    slot.running.store(wire::kFlightRuns);
    return Flight(shared_from_this(), &slot, alone);
  }
  return Flight(shared_from_this(), nullptr, alone);
}

Watch::Flight::~Flight() {
  if (watch_ == nullptr) return;
  if (slot_ != nullptr) slot_->running.store(wire::kFlightFree);
  watch_->turnstile_->leave(alone_);
}

}  // namespace pocket::runner
