// For the tests of this room: the sums of a ledger, counted anew from its loans.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "lease/driver.h"
#include "lease/ledger_rules.h"

namespace pocket::lease {

/// An amount in a unit that all periods share; `scale` is a multiple of every period.
inline __int128 scaled(int64_t amount, int64_t period_us, int64_t scale) {
  return static_cast<__int128>(amount) * (period_us == 0 ? 1 : scale / period_us);
}

/// Fails unless each account is what its loans make of it, each loan the same on both sides, and
/// the sum over `resource` conserved.
inline void expect_conserved(const Ledger& ledger, Resource resource, int64_t scale) {
  const auto accounts = ledger.accounts();
  const auto wanted = static_cast<uint32_t>(resource);
  std::vector<__int128> lent(accounts.size());
  std::vector<__int128> borrowed(accounts.size());
  __int128 base = 0;
  __int128 value = 0;
  __int128 transit = 0;
  __int128 unbacked = 0;
  for (const LoanRecord& loan : ledger.loans()) {
    if (loan.state == LoanState::kFree || loan.state == LoanState::kEnded) continue;
    const bool out = lender_side_out(loan.state, Pending::kNotWritten);
    const bool in = borrower_side_in(loan.state, Pending::kNotWritten);
    if (out) lent[loan.lender] += loan.lender_amount;
    if (in) borrowed[loan.borrower] += loan.borrower_amount;
    const __int128 taken = scaled(loan.lender_amount, accounts[loan.lender].period_us, scale);
    const __int128 given = scaled(loan.borrower_amount, accounts[loan.borrower].period_us, scale);
    ASSERT_TRUE(!out || !in || taken == 0 || taken == given) << "a loan is not exact";
    if (accounts[loan.lender].resource != wanted) continue;
    if (out && !in) transit += taken;
    if (in && taken == 0) unbacked += given;
  }
  for (size_t i = 0; i < accounts.size(); ++i) {
    const AccountRecord& account = accounts[i];
    if (account.state != AccountState::kOpen) continue;
    ASSERT_TRUE(account.lent == lent[i] && account.borrowed == borrowed[i]) << name_of(account);
    if (account.base == kUnlimited) continue;
    ASSERT_EQ(account.value, account.base - account.lent + account.borrowed) << name_of(account);
    if (account.resource != wanted) continue;
    base += scaled(account.base, account.period_us, scale);
    value += scaled(account.value, account.period_us, scale);
  }
  ASSERT_TRUE(base + unbacked == value + transit) << "the sum is not conserved";
}

}  // namespace pocket::lease
