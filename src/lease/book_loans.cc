// Lending and returning: the order of the writes, and what is stored between them.
#include <algorithm>

#include "lease/book.h"
#include "lease/policy.h"

namespace pocket::lease {
namespace {

/// Steps of a return that can follow each other; more means that the driver contradicts itself.
constexpr int kMostSteps = 8;

}  // namespace

Loan& Loan::operator=(Loan&& other) noexcept {
  if (this != &other) {
    (void)give_back();
    book_ = std::exchange(other.book_, nullptr);
    slot_ = other.slot_;
    amounts_ = std::exchange(other.amounts_, Amounts{});
  }
  return *this;
}

Result<void> Loan::give_back() {
  amounts_ = Amounts{};
  Book* book = std::exchange(book_, nullptr);
  return book == nullptr ? ok_result() : book->give_back(slot_);
}

Result<Loan> Book::lend(AccountId lender, AccountId borrower, int64_t wanted) {
  auto made = lend_now(lender, borrower, wanted);
  if (drain_) drain();
  return made;
}

Result<Loan> Book::lend_now(AccountId lender_id, AccountId borrower_id, int64_t wanted) {
  POCKET_ASSIGN_OR_RETURN(const uint32_t lender, find(lender_id));
  POCKET_ASSIGN_OR_RETURN(const uint32_t borrower, find(borrower_id));
  // An unlimited borrower is not read otherwise, so it would stay unlimited for ever.
  if (account(borrower).value == kUnlimited) POCKET_RETURN_IF_ERROR(settle(borrower));
  const int64_t period_us = account(borrower).period_us;
  POCKET_ASSIGN_OR_RETURN(const Taken taken, take(lender, borrower, wanted));
  if (taken.amounts.lender == 0) return Loan(nullptr, 0, taken.amounts);
  const std::span<const uint32_t> slots(&taken.slot, 1);
  auto grown = grow(borrower, period_us, slots);
  if (grown.ok() && *grown == Shortfall::kNone) {
    ledger_.put(loan(taken.slot).flags, kLoanHeld);
    return Loan(this, taken.slot, taken.amounts);
  }
  undo(slots);
  if (!grown.ok()) return std::move(grown).error();
  return Loan(nullptr, 0, Amounts{0, 0, *grown});
}

void Book::lend_many(AccountId borrower_id, std::span<Ask> asks) {
  auto found = find(borrower_id);
  if (found.ok() && account(*found).value == kUnlimited) {
    auto settled = settle(*found);
    if (!settled.ok()) found = std::move(settled).error();
  }
  if (!found.ok()) {
    for (Ask& ask : asks) ask.loan = Error(found.error());
    if (drain_) drain();
    return;
  }
  const uint32_t borrower = *found;
  const int64_t period_us = account(borrower).period_us;
  batch_.clear();
  batch_asks_.clear();
  for (size_t i = 0; i < asks.size(); ++i) {
    auto lender = find(asks[i].lender);
    auto taken = lender.ok() ? take(*lender, borrower, asks[i].wanted)
                             : Result<Taken>(std::move(lender).error());
    if (!taken.ok()) {
      asks[i].loan = std::move(taken).error();
      continue;
    }
    asks[i].loan = Loan(nullptr, 0, taken->amounts);
    if (taken->amounts.lender == 0) continue;
    // Held already, so that its record is not used again if a later ask ends it.
    ledger_.put(loan(taken->slot).flags, kLoanHeld);
    batch_.push_back(taken->slot);
    batch_asks_.push_back(static_cast<uint32_t>(i));
  }
  auto grown =
      batch_.empty() ? Result<Shortfall>(Shortfall::kNone) : grow(borrower, period_us, batch_);
  if (grown.ok() && *grown == Shortfall::kNone) {
    for (size_t i = 0; i < batch_.size(); ++i) {
      Loan& made = *asks[batch_asks_[i]].loan;
      made = Loan(this, batch_[i], made.amounts_);
    }
  } else {
    undo(batch_);
    for (const uint32_t i : batch_asks_) {
      asks[i].loan = grown.ok() ? Result<Loan>(Loan(nullptr, 0, Amounts{0, 0, *grown}))
                                : Result<Loan>(Error(grown.error()));
    }
  }
  if (drain_) drain();
}

/// The first half of a loan: the lender is smaller, the loan in transit.
Result<Book::Taken> Book::take(uint32_t lender, uint32_t borrower, int64_t wanted) {
  const AccountRecord& from = account(lender);
  const AccountRecord& to = account(borrower);
  if (wanted < 0 || lender == borrower || from.resource != to.resource) {
    return Error{POCKET_INVALID_ARGUMENT,
                 wanted < 0           ? "lending a negative amount would take from the borrower"
                 : lender == borrower ? "a group cannot lend to itself"
                                      : "lender and borrower are limits of different resources"};
  }
  POCKET_RETURN_IF_ERROR(settle(lender));
  const Limit limit{from.value, from.period_us};
  AmountLimits limits{wanted, 0, 0};
  if (limit.amount != kUnlimited && to.value != kUnlimited && wanted > 0) {
    auto spare = live_[lender].file->spare(limit);
    if (!spare.ok()) {
      if (spare.error().code == POCKET_NOT_FOUND) make_gone(lender);
      return failed(lender, "asking what can be spared of", std::move(spare).error());
    }
    limits.spare = *spare;
    // What it has borrowed is not its own to lend.
    const bool cpu = from.resource == static_cast<uint32_t>(Resource::kCpu);
    limits.lendable = from.base - from.lent - (cpu ? kSmallestQuota : page_bytes_);
  }
  Taken taken;
  taken.amounts = fit_amounts(static_cast<Resource>(from.resource), limit,
                              Limit{to.value, to.period_us}, limits, page_bytes_);
  if (taken.amounts.lender == 0) return taken;
  POCKET_ASSIGN_OR_RETURN(taken.slot, new_loan(lender, borrower, taken.amounts));
  auto changed = change(lender, from.value - taken.amounts.lender, {&taken.slot, 1},
                        LoanState::kLending, LoanState::kInTransit);
  if (changed.ok()) return taken;
  if (loan(taken.slot).state != LoanState::kFree) ledger_.put(loan(taken.slot).flags, kLoanOwed);
  return std::move(changed).error();
}

/// A record with everything but its state, which the first change sets.
Result<uint32_t> Book::new_loan(uint32_t lender, uint32_t borrower, const Amounts& amounts) {
  uint32_t slot = 0;
  if (!free_loans_.empty()) {
    slot = free_loans_.back();
    free_loans_.pop_back();
  } else {
    POCKET_ASSIGN_OR_RETURN(slot, ledger_.add_loan_record());
  }
  LoanRecord& record = loan(slot);
  ledger_.put(record.flags, 0);
  ledger_.put(record.lender, lender);
  ledger_.put(record.borrower, borrower);
  ledger_.put(record.lender_amount, amounts.lender);
  ledger_.put(record.borrower_amount, amounts.borrower);
  ++live_[lender].loans;
  ++live_[borrower].loans;
  return slot;
}

/// The second half, for loans in transit to one borrower. Not kNone: they cannot be added to it.
Result<Shortfall> Book::grow(uint32_t borrower, int64_t period_us,
                             std::span<const uint32_t> slots) {
  POCKET_RETURN_IF_ERROR(settle(borrower));
  const AccountRecord& to = account(borrower);
  if (to.value == kUnlimited) return Shortfall::kBorrowerUnlimited;
  if (to.period_us != period_us) return Shortfall::kBorrowerChanged;
  int64_t next = to.value;
  for (const uint32_t slot : slots) {
    if (loan(slot).state != LoanState::kInTransit) return Shortfall::kNothingSpare;
    next += loan(slot).borrower_amount;
    if (next > kMaxAmount) return Shortfall::kBorrowerChanged;
  }
  POCKET_RETURN_IF_ERROR(change(borrower, next, slots, LoanState::kGrowing, LoanState::kOut));
  return Shortfall::kNone;
}

/// Returns loans that could not be completed; what fails stays owed.
void Book::undo(std::span<const uint32_t> slots) {
  for (const uint32_t slot : slots) {
    if (loan(slot).state == LoanState::kFree) continue;
    ledger_.put(loan(slot).flags, kLoanOwed);
    (void)return_loan(slot);
  }
}

Result<void> Book::give_back(uint32_t slot) {
  ledger_.put(loan(slot).flags, loan(slot).flags & ~kLoanHeld);
  auto returned = return_loan(slot);
  if (!returned.ok()) ledger_.put(loan(slot).flags, kLoanOwed);
  if (drain_) drain();
  return returned;
}

Result<void> Book::give_back_many(std::span<Loan> loans) {
  batch_.clear();
  for (Loan& given : loans) {
    if (given.book_ != this) continue;
    ledger_.put(loan(given.slot_).flags, loan(given.slot_).flags & ~kLoanHeld);
    batch_.push_back(given.slot_);
    given.abandon();
    given.amounts_ = Amounts{};
  }
  std::ranges::sort(batch_, {}, [this](uint32_t slot) { return loan(slot).borrower; });
  Result<void> first;
  for (size_t begin = 0, end = 0; begin < batch_.size(); begin = end) {
    const uint32_t borrower = loan(batch_[begin]).borrower;
    while (end < batch_.size() && loan(batch_[end]).borrower == borrower) ++end;
    const std::span<uint32_t> same(batch_.data() + begin, end - begin);
    // What this cannot do, the returns below try one by one.
    (void)shrink(borrower, same);
    for (const uint32_t slot : same) {
      auto returned = return_loan(slot);
      if (returned.ok()) continue;
      ledger_.put(loan(slot).flags, kLoanOwed);
      if (first.ok()) first = std::move(returned);
    }
  }
  if (drain_) drain();
  return first;
}

/// Takes loans that are out from their borrower with one write, which puts them in transit.
Result<void> Book::shrink(uint32_t borrower, std::span<uint32_t> slots) {
  POCKET_RETURN_IF_ERROR(settle(borrower));
  const auto out = std::partition(slots.begin(), slots.end(), [this](uint32_t slot) {
    return loan(slot).state == LoanState::kOut;
  });
  const std::span<uint32_t> outstanding(slots.begin(), out);
  if (outstanding.empty()) return {};
  int64_t next = account(borrower).value;
  for (const uint32_t slot : outstanding) next -= loan(slot).borrower_amount;
  return change(borrower, next, outstanding, LoanState::kShrinking, LoanState::kInTransit);
}

/// Brings a loan home from whatever state it is in.
Result<void> Book::return_loan(uint32_t slot) {
  for (int step = 0; step < kMostSteps; ++step) {
    const LoanState before = loan(slot).state;
    if (before == LoanState::kFree) return {};
    if (before == LoanState::kEnded) {
      free_loan(slot);
      return {};
    }
    auto done = return_step(slot);
    if (!done.ok() && loan(slot).state == before) return done;
  }
  return Error{POCKET_INTERNAL, "a loan does not come home: its files keep contradicting it"};
}

Result<void> Book::return_step(uint32_t slot) {
  LoanRecord& record = loan(slot);
  switch (record.state) {
    case LoanState::kOut: {
      uint32_t one = slot;
      return shrink(record.borrower, {&one, 1});
    }
    case LoanState::kLending:
    case LoanState::kReturning:
      return settle(record.lender);
    case LoanState::kGrowing:
    case LoanState::kShrinking:
      return settle(record.borrower);
    case LoanState::kInTransit:
      break;
    case LoanState::kFree:
    case LoanState::kEnded:
      return {};
  }
  if (record.lender_amount == 0) {
    ledger_.put(record.state, LoanState::kEnded);
    return {};
  }
  const uint32_t lender = record.lender;
  POCKET_RETURN_IF_ERROR(settle(lender));
  if (record.state != LoanState::kInTransit) return {};
  return change(lender, account(lender).value + record.lender_amount, {&slot, 1},
                LoanState::kReturning, LoanState::kEnded);
}

/// The record of an ended loan may be used again, unless somebody holds it.
void Book::free_loan(uint32_t slot) {
  LoanRecord& record = loan(slot);
  if ((record.flags & kLoanHeld) != 0) {
    if (record.flags != kLoanHeld) ledger_.put(record.flags, kLoanHeld);
    return;
  }
  const uint32_t lender = record.lender;
  const uint32_t borrower = record.borrower;
  ledger_.put(record.state, LoanState::kFree);
  free_loans_.push_back(slot);
  --live_[lender].loans;
  --live_[borrower].loans;
  close_if_unused(lender);
  close_if_unused(borrower);
}

/// Writes one file and moves its loans on, in the order that recovery relies on.
Result<void> Book::change(uint32_t index, int64_t next, std::span<const uint32_t> slots,
                          LoanState pending, LoanState done) {
  AccountRecord& record = account(index);
  for (const uint32_t slot : slots) ledger_.put(loan(slot).state, pending);
  ledger_.put(record.next, next);
  auto written = live_[index].file->write(next);
  if (!written.ok()) POCKET_RETURN_IF_ERROR(write_failed(index, std::move(written).error()));
  for (const uint32_t slot : slots) ledger_.put(loan(slot).state, done);
  const int64_t moved = next - record.value;
  if (pending == LoanState::kLending || pending == LoanState::kReturning) {
    ledger_.put(record.lent, record.lent - moved);
  } else {
    ledger_.put(record.borrowed, record.borrowed + moved);
  }
  ledger_.put(record.value, next);
  return {};
}

}  // namespace pocket::lease
