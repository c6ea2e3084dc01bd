#include "lease/book.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "lease/ledger_rules.h"
#include "lease/policy.h"

namespace pocket::lease {
namespace {

/// Names are unique for each resource.
std::string key_of(Resource resource, std::string_view name) {
  std::string key(resource_name(resource));
  key += ' ';
  key += name;
  return key;
}

std::string key_of(const AccountRecord& account) {
  return key_of(static_cast<Resource>(account.resource), name_of(account));
}

}  // namespace

Book::Book(Ledger ledger, Driver& driver)
    : ledger_(std::move(ledger)),
      driver_(driver),
      // The kernel rounds memory limits to its own pages; an amount that is not a multiple would
      // come back different from what was written.
      page_bytes_(std::max<int64_t>(kPageBytes, ::sysconf(_SC_PAGESIZE))) {
  // So that no lend or return allocates.
  free_loans_.reserve(ledger_.header().loan_capacity);
  free_accounts_.reserve(ledger_.header().account_capacity);
  live_.reserve(ledger_.header().account_capacity);
}

Result<std::unique_ptr<Book>> Book::open(Ledger ledger, Driver& driver) {
  std::unique_ptr<Book> book(new Book(std::move(ledger), driver));
  book->adopt();
  book->repairs_ = book->ledger_.notes();
  for (std::string& line : book->repair()) book->repairs_.push_back(std::move(line));
  return book;
}

/// Makes the records of a dead service our own: nobody holds its loans, so all are owed.
void Book::adopt() {
  const auto accounts = ledger_.accounts();
  const auto loans = ledger_.loans();
  live_.resize(accounts.size());
  for (size_t slot = loans.size(); slot-- > 0;) {
    if (loans[slot].state == LoanState::kFree) {
      free_loans_.push_back(static_cast<uint32_t>(slot));
      continue;
    }
    ledger_.put(loans[slot].flags, kLoanOwed);
    ++live_[loans[slot].lender].loans;
    ++live_[loans[slot].borrower].loans;
  }
  for (size_t i = accounts.size(); i-- > 0;) {
    const auto index = static_cast<uint32_t>(i);
    if (accounts[i].state == AccountState::kFree) {
      free_accounts_.push_back(index);
      continue;
    }
    if (accounts[i].state != AccountState::kOpen) continue;
    by_name_[key_of(accounts[i])] = index;
    // Writes that had been announced and were never begun.
    if (accounts[i].value == accounts[i].next) (void)resolve(ledger_, index, false);
  }
  free_ended();
  for (uint32_t index = 0; index < accounts.size(); ++index) close_if_unused(index);
}

Result<uint32_t> Book::find(AccountId id) const {
  if (id.slot >= live_.size() || live_[id.slot].generation != id.generation ||
      account(id.slot).state == AccountState::kFree) {
    return Error{POCKET_INVALID_ARGUMENT, "this account was released"};
  }
  if (account(id.slot).state == AccountState::kGone) {
    return Error{POCKET_NOT_FOUND,
                 "the group '" + std::string(name_of(account(id.slot))) + "' is gone"};
  }
  return id.slot;
}

Result<AccountId> Book::add_account(Resource resource, const std::string& name) {
  if (name.empty() || name.size() > kMaxAccountName) {
    return Error{POCKET_INVALID_ARGUMENT, "the name of an account has 1 to " +
                                              std::to_string(kMaxAccountName) + " bytes, not " +
                                              std::to_string(name.size())};
  }
  uint32_t index = 0;
  if (const auto found = by_name_.find(key_of(resource, name)); found != by_name_.end()) {
    index = found->second;
    // It may be the account of a group that vanished and was made again under the same name.
    // Counted first: settling may end the last loan of an account that nobody has yet.
    const AccountId id{index, live_[index].generation};
    ++live_[index].references;
    auto settled = settle(index);
    if (settled.ok()) return id;
    release_account(id);
    drain();
    if (settled.error().code != POCKET_NOT_FOUND) return std::move(settled).error();
  }
  POCKET_ASSIGN_OR_RETURN(index, create_account(resource, name));
  ++live_[index].references;
  return AccountId{index, live_[index].generation};
}

Result<uint32_t> Book::create_account(Resource resource, const std::string& name) {
  const std::string what = std::string(resource_name(resource)) + " limit of '" + name + "'";
  auto file = driver_.open(resource, name);
  if (!file.ok()) return std::move(file).error().with_context("opening the " + what);
  auto limit = (*file)->read();
  if (!limit.ok()) return std::move(limit).error().with_context("reading the " + what);
  const auto now = known_limit(resource, *limit);
  if (!now) {
    return Error{POCKET_INTERNAL, "the driver gives the " + what + " an impossible period of " +
                                      std::to_string(limit->period_us) + " us"};
  }
  uint32_t index = 0;
  if (!free_accounts_.empty()) {
    index = free_accounts_.back();
    free_accounts_.pop_back();
  } else {
    POCKET_ASSIGN_OR_RETURN(index, ledger_.add_account_record());
    live_.resize(index + 1);
  }
  AccountRecord& record = account(index);
  std::memcpy(record.name, name.data(), name.size());
  ledger_.put(record.name_bytes, static_cast<uint32_t>(name.size()));
  ledger_.put(record.resource, static_cast<uint32_t>(resource));
  ledger_.put(record.base, now->amount);
  ledger_.put(record.period_us, now->period_us);
  ledger_.put(record.value, now->amount);
  ledger_.put(record.next, now->amount);
  ledger_.put(record.lent, 0);
  ledger_.put(record.borrowed, 0);
  ledger_.put(record.foreign_changes, 0);
  ledger_.put(record.state, AccountState::kOpen);
  live_[index].file = std::move(*file);
  by_name_[key_of(resource, name)] = index;
  return index;
}

void Book::release_account(AccountId id) {
  if (id.slot >= live_.size() || live_[id.slot].generation != id.generation) return;
  Live& live = live_[id.slot];
  if (live.references > 0) --live.references;
  close_if_unused(id.slot);
}

/// Frees the record when nobody needs it: a file in an unknown state is still needed.
void Book::close_if_unused(uint32_t index) {
  AccountRecord& record = account(index);
  Live& live = live_[index];
  if (record.state == AccountState::kFree || live.references > 0 || live.loans > 0) return;
  if (record.state == AccountState::kOpen) {
    if (record.value != record.next) return;
    by_name_.erase(key_of(record));
  }
  live.file.reset();
  ++live.generation;
  ledger_.put(record.state, AccountState::kFree);
  free_accounts_.push_back(index);
}

Result<Limit> Book::base(AccountId id) const {
  POCKET_ASSIGN_OR_RETURN(const uint32_t index, find(id));
  return Limit{account(index).base, account(index).period_us};
}

}  // namespace pocket::lease
