// What listings show. Reads the files, changes nothing.
#include "lease/book.h"
#include "lease/ledger_rules.h"

namespace pocket::lease {
namespace {

/// In a unit that accounts of different periods share: bytes, or microseconds per second.
int64_t common_unit(int64_t amount, int64_t period_us) {
  if (period_us == 0) return amount;
  return static_cast<int64_t>((static_cast<__int128>(amount) * 1'000'000 + period_us / 2) /
                              period_us);
}

}  // namespace

std::vector<AccountView> Book::accounts() const {
  std::vector<AccountView> views;
  const auto records = ledger_.accounts();
  for (size_t index = 0; index < records.size(); ++index) {
    const AccountRecord& record = records[index];
    if (record.state == AccountState::kFree) continue;
    AccountView view;
    view.name = name_of(record);
    view.resource = static_cast<Resource>(record.resource);
    view.period_us = record.period_us;
    view.base = record.base;
    view.lent = record.lent;
    view.borrowed = record.borrowed;
    view.foreign_changes = record.foreign_changes;
    view.gone = record.state == AccountState::kGone;
    if (live_[index].file != nullptr) {
      auto read = live_[index].file->read();
      const auto now = read.ok() ? known_limit(view.resource, *read) : std::nullopt;
      if (now) view.current = now->amount;
      const int64_t expected =
          record.base == kUnlimited ? kUnlimited : record.base - record.lent + record.borrowed;
      view.conserved = now && now->amount == expected && now->period_us == record.period_us;
    }
    views.push_back(std::move(view));
  }
  return views;
}

ConservedSum Book::conserved_sum(Resource resource) const {
  ConservedSum sum;
  sum.conserved = true;
  for (const AccountView& view : accounts()) {
    if (view.resource != resource || view.gone || view.base == kUnlimited) continue;
    const int64_t expected = view.base - view.lent + view.borrowed;
    sum.base += common_unit(view.base, view.period_us);
    sum.files += common_unit(view.current.value_or(expected), view.period_us);
    sum.conserved = sum.conserved && view.conserved;
  }
  for (const LoanRecord& record : ledger_.loans()) {
    if (record.state == LoanState::kFree || record.state == LoanState::kEnded) continue;
    const AccountRecord& lender = account(record.lender);
    const AccountRecord& borrower = account(record.borrower);
    if (lender.resource != static_cast<uint32_t>(resource)) continue;
    const bool out = lender_side_out(record.state, Pending::kNotWritten);
    const bool in = borrower_side_in(record.state, Pending::kNotWritten);
    if (in && record.lender_amount == 0) {
      sum.unbacked += common_unit(record.borrower_amount, borrower.period_us);
    } else if (out && !in) {
      sum.in_transit += common_unit(record.lender_amount, lender.period_us);
    } else if (out && in && resource == Resource::kCpu) {
      sum.conserved =
          sum.conserved && static_cast<__int128>(record.lender_amount) * borrower.period_us ==
                               static_cast<__int128>(record.borrower_amount) * lender.period_us;
    } else if (out && in) {
      sum.conserved = sum.conserved && record.lender_amount == record.borrower_amount;
    }
  }
  return sum;
}

}  // namespace pocket::lease
