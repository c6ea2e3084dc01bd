// Layout of what a runner writes down about calls in flight, where its models crashed before. The
// contract is docs/format-flight.md; change that page first.
#pragma once

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace pocket::wire {

constexpr uint32_t kFlightMagic = 0x4c464b50;  // "PKFL", little-endian
constexpr uint32_t kFlightVersion = 1;
constexpr uint32_t kFlightSlots = 63;

/// Of all inputs of a request.
struct RequestDigest {
  uint64_t low = 0;
  uint64_t high = 0;
  auto operator<=>(const RequestDigest&) const = default;
};

enum FlightState : uint32_t { kFlightFree = 0, kFlightWritten = 1, kFlightRuns = 2 };

struct FlightSlot {
  std::atomic<uint32_t> running;
  uint32_t model;
  uint32_t channel;
  uint32_t reserved;
  RequestDigest digest;
  uint32_t unused[8];
};
static_assert(sizeof(FlightSlot) == 64);
static_assert(offsetof(FlightSlot, model) == 4);
static_assert(offsetof(FlightSlot, channel) == 8);
static_assert(offsetof(FlightSlot, digest) == 16);

struct FlightBook {
  uint32_t magic;
  uint32_t version;
  uint32_t reserved[14];
  std::array<FlightSlot, kFlightSlots> slots;
};
static_assert(offsetof(FlightBook, slots) == 64);
static_assert(sizeof(FlightBook) == 4096, "one page");

}  // namespace pocket::wire
