#include "lease/ledger_rules.h"

namespace pocket::lease {

bool lender_side_out(LoanState state, Pending pending) {
  switch (state) {
    case LoanState::kLending:
      return pending == Pending::kWritten;
    case LoanState::kReturning:
      return pending == Pending::kNotWritten;
    case LoanState::kInTransit:
    case LoanState::kGrowing:
    case LoanState::kOut:
    case LoanState::kShrinking:
      return true;
    case LoanState::kFree:
    case LoanState::kEnded:
      return false;
  }
  return false;
}

bool borrower_side_in(LoanState state, Pending pending) {
  if (state == LoanState::kGrowing) return pending == Pending::kWritten;
  if (state == LoanState::kShrinking) return pending == Pending::kNotWritten;
  return state == LoanState::kOut;
}

namespace {

struct Sums {
  __int128 lent = 0;
  __int128 borrowed = 0;
};

Sums sums_of(const Ledger& ledger, uint32_t account, Pending pending) {
  Sums sums;
  for (const LoanRecord& loan : ledger.loans()) {
    if (loan.lender == account && lender_side_out(loan.state, pending)) {
      sums.lent += loan.lender_amount;
    }
    if (loan.borrower == account && borrower_side_in(loan.state, pending)) {
      sums.borrowed += loan.borrower_amount;
    }
  }
  return sums;
}

bool adds_up(const AccountRecord& account, const Sums& sums, int64_t value) {
  if (account.base == kUnlimited) return value == kUnlimited && !sums.lent && !sums.borrowed;
  // Only its own budget is lent, which also keeps every later sum far from overflow.
  return sums.lent <= account.base && value == account.base - sums.lent + sums.borrowed;
}

Error damaged(const char* record, size_t index, const char* what) {
  return Error{POCKET_DATA_LOSS,
               std::string(record) + " " + std::to_string(index) + " has an impossible " + what};
}

bool amount_possible(int64_t amount) { return amount >= 0 && amount <= kMaxAmount; }

const char* wrong_field(const AccountRecord& account) {
  const bool cpu = account.resource == static_cast<uint32_t>(Resource::kCpu);
  if (!cpu && account.resource != static_cast<uint32_t>(Resource::kMemory)) return "resource";
  if (cpu ? account.period_us <= 0 || account.period_us > kMaxPeriod : account.period_us != 0) {
    return "period";
  }
  for (const int64_t amount : {account.base, account.value, account.next}) {
    if (!amount_possible(amount) && amount != kUnlimited) return "amount";
  }
  if (account.name_bytes == 0 || account.name_bytes > kMaxAccountName) return "name";
  return nullptr;
}

const char* wrong_field(const LoanRecord& loan, std::span<const AccountRecord> accounts) {
  if (loan.state > LoanState::kEnded) return "state";
  if (loan.state == LoanState::kFree) return nullptr;
  for (const uint32_t index : {loan.lender, loan.borrower}) {
    if (index >= accounts.size() || accounts[index].state == AccountState::kFree) return "account";
  }
  if (loan.lender == loan.borrower) return "account";
  if (accounts[loan.lender].resource != accounts[loan.borrower].resource) return "resource";
  if (!amount_possible(loan.lender_amount) || !amount_possible(loan.borrower_amount)) {
    return "amount";
  }
  return nullptr;
}

/// Nothing of the account's side of its loans is to be returned.
void write_off(Ledger& ledger, uint32_t account, bool owed) {
  for (LoanRecord& loan : ledger.loans()) {
    if (loan.state == LoanState::kFree) continue;
    if (loan.lender == account) {
      ledger.put(loan.lender_amount, 0);
      if (loan.state == LoanState::kLending || loan.state == LoanState::kInTransit ||
          loan.state == LoanState::kReturning) {
        ledger.put(loan.state, LoanState::kEnded);
      }
    } else if (loan.borrower == account) {
      // A loan in transit has put nothing in yet, and may still do so on top of the new base.
      if (loan.state == LoanState::kGrowing || loan.state == LoanState::kOut ||
          loan.state == LoanState::kShrinking) {
        ledger.put(loan.borrower_amount, 0);
        ledger.put(loan.state, LoanState::kInTransit);
      }
      if (loan.state == LoanState::kInTransit && loan.lender_amount == 0) {
        ledger.put(loan.state, LoanState::kEnded);
      }
    } else {
      continue;
    }
    if (owed && loan.state != LoanState::kEnded) ledger.put(loan.flags, loan.flags | kLoanOwed);
  }
}

}  // namespace

Result<void> check_fields(const Ledger& ledger) {
  const auto accounts = ledger.accounts();
  for (size_t i = 0; i < accounts.size(); ++i) {
    if (accounts[i].state > AccountState::kGone) return damaged("account", i, "state");
    if (accounts[i].state == AccountState::kFree) continue;
    if (const char* what = wrong_field(accounts[i])) return damaged("account", i, what);
  }
  const auto loans = ledger.loans();
  for (size_t i = 0; i < loans.size(); ++i) {
    if (const char* what = wrong_field(loans[i], accounts)) return damaged("loan", i, what);
  }
  const JournalRecord& journal = ledger.journal();
  if (journal.state > JournalState::kGone) return damaged("journal", 0, "state");
  if (journal.state == JournalState::kEmpty) return {};
  if (journal.account >= accounts.size() ||
      accounts[journal.account].state == AccountState::kFree) {
    return damaged("journal", 0, "account");
  }
  if (journal.state == JournalState::kNewBase) {
    AccountRecord after = accounts[journal.account];
    after.base = journal.amount;
    after.period_us = journal.period_us;
    if (const char* what = wrong_field(after)) return damaged("journal", 0, what);
  }
  return {};
}

Result<void> check_sums(const Ledger& ledger) {
  const auto accounts = ledger.accounts();
  for (uint32_t i = 0; i < accounts.size(); ++i) {
    const AccountRecord& account = accounts[i];
    if (account.state != AccountState::kOpen) continue;
    const bool before = adds_up(account, sums_of(ledger, i, Pending::kNotWritten), account.value);
    const bool after = account.next != account.value &&
                       adds_up(account, sums_of(ledger, i, Pending::kWritten), account.next);
    if (!before && !after) return damaged("account", i, "sum of loans");
  }
  return {};
}

void apply_journal(Ledger& ledger) {
  JournalRecord& journal = ledger.journal();
  if (journal.state == JournalState::kEmpty) return;
  AccountRecord& account = ledger.accounts()[journal.account];
  write_off(ledger, journal.account, journal.state == JournalState::kGone);
  if (journal.state == JournalState::kGone) {
    ledger.put(account.state, AccountState::kGone);
  } else {
    ledger.put(account.base, journal.amount);
    ledger.put(account.period_us, journal.period_us);
    ledger.put(account.value, journal.amount);
    ledger.put(account.next, journal.amount);
    ledger.put(account.foreign_changes, journal.foreign_changes);
  }
  ledger.put(account.lent, 0);
  ledger.put(account.borrowed, 0);
  ledger.put(journal.state, JournalState::kEmpty);
}

void set_new_base(Ledger& ledger, uint32_t account, const Limit& limit) {
  JournalRecord& journal = ledger.journal();
  ledger.put(journal.account, account);
  ledger.put(journal.amount, limit.amount);
  ledger.put(journal.period_us, limit.period_us);
  ledger.put(journal.foreign_changes, ledger.accounts()[account].foreign_changes + 1);
  ledger.put(journal.state, JournalState::kNewBase);
  apply_journal(ledger);
}

void set_gone(Ledger& ledger, uint32_t account) {
  ledger.put(ledger.journal().account, account);
  ledger.put(ledger.journal().state, JournalState::kGone);
  apply_journal(ledger);
}

bool resolve(Ledger& ledger, uint32_t account, bool written) {
  AccountRecord& record = ledger.accounts()[account];
  for (LoanRecord& loan : ledger.loans()) {
    if (loan.lender == account && loan.state == LoanState::kLending) {
      ledger.put(loan.state, written ? LoanState::kInTransit : LoanState::kEnded);
    } else if (loan.lender == account && loan.state == LoanState::kReturning) {
      ledger.put(loan.state, written ? LoanState::kEnded : LoanState::kInTransit);
    } else if (loan.borrower == account && loan.state == LoanState::kGrowing) {
      ledger.put(loan.state, written ? LoanState::kOut : LoanState::kInTransit);
    } else if (loan.borrower == account && loan.state == LoanState::kShrinking) {
      ledger.put(loan.state, written ? LoanState::kInTransit : LoanState::kOut);
    }
  }
  if (written) {
    ledger.put(record.value, record.next);
  } else {
    ledger.put(record.next, record.value);
  }
  recompute_sums(ledger, account);
  return adds_up(record, Sums{record.lent, record.borrowed}, record.value);
}

bool recompute_sums(Ledger& ledger, uint32_t account) {
  AccountRecord& record = ledger.accounts()[account];
  const Sums sums = sums_of(ledger, account, Pending::kNotWritten);
  const auto lent = static_cast<int64_t>(sums.lent);
  const auto borrowed = static_cast<int64_t>(sums.borrowed);
  if (record.lent == lent && record.borrowed == borrowed) return true;
  ledger.put(record.lent, lent);
  ledger.put(record.borrowed, borrowed);
  return false;
}

}  // namespace pocket::lease
