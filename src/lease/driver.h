// What the book knows of the world: limit files, which somebody else reads and writes for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace pocket::lease {

/// The numbers are part of the ledger's format.
enum class Resource : uint32_t { kCpu = 1, kMemory = 2 };

/// "cpu" or "memory".
const char* resource_name(Resource resource);

constexpr int64_t kUnlimited = -1;

/// A limit. `amount`: microseconds per period (CPU) or bytes (memory); kUnlimited: none.
/// `period_us`: microseconds, > 0 for CPU even when unlimited; 0 for memory.
struct Limit {
  int64_t amount = kUnlimited;
  int64_t period_us = 0;
  friend bool operator==(const Limit&, const Limit&) = default;
};

/// The limit as the book counts it: amounts beyond counting are unlimited, memory has no period.
/// Nothing when a CPU limit has no possible period.
std::optional<Limit> known_limit(Resource resource, Limit limit);

/// One limit of one group, open. Belongs to the thread of the book. NOT_FOUND from any of these
/// means that the group is gone for good (also when the descriptor says ENODEV); every other error
/// is taken as "try again later".
class LimitFile {
 public:
  virtual ~LimitFile() = default;

  /// What the limit is now. A number that means "no limit" to the kernel is reported as kUnlimited.
  virtual Result<Limit> read() = 0;

  /// Sets the amount (never kUnlimited) and leaves the period alone. One write. An error should
  /// mean that nothing changed; the book reads the file after an error to be sure.
  virtual Result<void> write(int64_t amount) = 0;

  /// How much could be taken away at this moment, where `now` is what read() has just returned.
  /// Memory: limit - usage + what can be reclaimed; CPU: now.amount - 1000. May be negative.
  virtual Result<int64_t> spare(const Limit& now) = 0;
};

/// Opens limit files by name; outlives the book.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Result<std::unique_ptr<LimitFile>> open(Resource resource, const std::string& name) = 0;
};

}  // namespace pocket::lease
