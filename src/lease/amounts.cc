#include "lease/amounts.h"

#include <algorithm>
#include <numeric>

#include "lease/ledger_layout.h"

namespace pocket::lease {

const char* shortfall_text(Shortfall shortfall) {
  switch (shortfall) {
    case Shortfall::kNone:
      return "";
    case Shortfall::kNothingWanted:
      return "nothing was to be lent";
    case Shortfall::kLenderUnlimited:
      return "the lender is unlimited";
    case Shortfall::kBorrowerUnlimited:
      return "the borrower is unlimited";
    case Shortfall::kNothingSpare:
      return "the lender can spare nothing now";
    case Shortfall::kPartlySpare:
      return "the lender can spare only a part now";
    case Shortfall::kRounded:
      return "rounded down to what both limits can hold exactly";
    case Shortfall::kPeriods:
      return "less than the smallest amount that is exact in both periods";
    case Shortfall::kBorrowerChanged:
      return "somebody else changed the borrower's limit just now";
  }
  return "";
}

Amounts fit_amounts(Resource resource, const Limit& lender, const Limit& borrower,
                    const AmountLimits& limits, int64_t page_bytes) {
  if (lender.amount == kUnlimited) return {0, 0, Shortfall::kLenderUnlimited};
  if (borrower.amount == kUnlimited) return {0, 0, Shortfall::kBorrowerUnlimited};
  if (limits.wanted <= 0) return {0, 0, Shortfall::kNothingWanted};
  const int64_t allowed = std::min({limits.wanted, limits.spare, limits.lendable});
  if (allowed <= 0) return {0, 0, Shortfall::kNothingSpare};

  // The smallest steps that are the same share on both sides.
  int64_t lender_step = page_bytes;
  int64_t borrower_step = page_bytes;
  if (resource == Resource::kCpu) {
    const int64_t common = lender.period_us == borrower.period_us
                               ? lender.period_us
                               : std::gcd(lender.period_us, borrower.period_us);
    lender_step = lender.period_us / common;
    borrower_step = borrower.period_us / common;
  }
  const int64_t room = kMaxAmount - borrower.amount;
  const int64_t steps = std::min(allowed / lender_step, room / borrower_step);
  if (steps <= 0) {
    return {0, 0, allowed < limits.wanted ? Shortfall::kNothingSpare : Shortfall::kPeriods};
  }
  Amounts amounts{steps * lender_step, steps * borrower_step, Shortfall::kNone};
  if (amounts.lender < limits.wanted) {
    amounts.shortfall = allowed < limits.wanted ? Shortfall::kPartlySpare : Shortfall::kRounded;
  }
  return amounts;
}

}  // namespace pocket::lease
