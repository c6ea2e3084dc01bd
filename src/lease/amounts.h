// How much one loan may move: the arithmetic between two limits. Pure; any thread.
#pragma once

#include <cstdint>

#include "lease/driver.h"

namespace pocket::lease {

/// Why less was lent than was wanted.
enum class Shortfall : uint8_t {
  kNone,
  kNothingWanted,
  kLenderUnlimited,
  kBorrowerUnlimited,
  kNothingSpare,
  kPartlySpare,
  kRounded,
  kPeriods,
  kBorrowerChanged,
};

/// A sentence for a person; "" for kNone. Never null.
const char* shortfall_text(Shortfall shortfall);

/// The two sides of a loan, exactly the same share of a processor (or bytes); both 0 or both > 0.
struct Amounts {
  int64_t lender = 0;    // in the lender's period
  int64_t borrower = 0;  // in the borrower's period
  Shortfall shortfall = Shortfall::kNone;
};

struct AmountLimits {
  int64_t wanted = 0;    // in the lender's unit
  int64_t spare = 0;     // what the lender's use leaves at this moment; may be negative
  int64_t lendable = 0;  // what its base leaves after the loans it has made; may be negative
};

/// The largest amount within the three limits that is exact in both periods. Memory moves in
/// multiples of `page_bytes`. `lender` and `borrower` are limits of the same resource.
Amounts fit_amounts(Resource resource, const Limit& lender, const Limit& borrower,
                    const AmountLimits& limits, int64_t page_bytes);

}  // namespace pocket::lease
