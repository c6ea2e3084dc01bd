// The rules that records of a ledger obey (docs/format-ledger.md, "Rules"), apart from any file.
#pragma once

#include <string>

#include "base/result.h"
#include "lease/driver.h"
#include "lease/ledger.h"

namespace pocket::lease {

/// How loans whose write is still being made are counted.
enum class Pending { kNotWritten, kWritten };

/// The lender's file is smaller, and the borrower's larger, because of a loan in this state.
bool lender_side_out(LoanState state, Pending pending);
bool borrower_side_in(LoanState state, Pending pending);

/// DATA_LOSS when a field of any used record is impossible.
Result<void> check_fields(const Ledger& ledger);

/// DATA_LOSS when an open account's value is not its base with its loans taken out and put in.
Result<void> check_sums(const Ledger& ledger);

/// Does what the journal says, again if it was already begun, and empties it.
void apply_journal(Ledger& ledger);

/// Makes what somebody else set the base of an account, through the journal; the account's side of
/// its loans is written off.
void set_new_base(Ledger& ledger, uint32_t account, const Limit& limit);

/// Closes the account of a group that has vanished, through the journal; its loans become owed.
void set_gone(Ledger& ledger, uint32_t account);

/// Ends a doubt (value != next): the write that was being made has happened, or has not. Returns
/// false when the account does not add up afterwards.
bool resolve(Ledger& ledger, uint32_t account, bool written);

/// Sets lent and borrowed from the loans that are certainly out. False when they were different.
bool recompute_sums(Ledger& ledger, uint32_t account);

}  // namespace pocket::lease
