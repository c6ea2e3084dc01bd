// When a file is not what the ledger says: doubts, changes by others, groups that vanished; and the
// retries and reports that follow from them.
#include "lease/book.h"
#include "lease/ledger_rules.h"

namespace pocket::lease {
namespace {

std::string limit_text(Resource resource, const Limit& limit) {
  if (limit.amount == kUnlimited) return "unlimited";
  if (resource == Resource::kMemory) return std::to_string(limit.amount) + " bytes";
  return std::to_string(limit.amount) + " us per " + std::to_string(limit.period_us) + " us";
}

std::string limit_text(const AccountRecord& account, int64_t amount) {
  return limit_text(static_cast<Resource>(account.resource), {amount, account.period_us});
}

std::string title(const AccountRecord& account) {
  return std::string(resource_name(static_cast<Resource>(account.resource))) + " limit of '" +
         std::string(name_of(account)) + "'";
}

}  // namespace

std::optional<Limit> known_limit(Resource resource, Limit limit) {
  if (limit.amount < 0 || limit.amount > kMaxAmount) limit.amount = kUnlimited;
  if (resource == Resource::kMemory) limit.period_us = 0;
  const bool possible =
      resource == Resource::kMemory || (limit.period_us > 0 && limit.period_us <= kMaxPeriod);
  return possible ? std::optional(limit) : std::nullopt;
}

/// After it succeeds, the account's value is what the file holds, and nothing is in doubt.
Result<void> Book::settle(uint32_t index) {
  const AccountRecord& record = account(index);
  if (live_[index].file == nullptr) POCKET_RETURN_IF_ERROR(open_file(index));
  auto now = live_[index].file->read();
  if (!now.ok()) {
    if (now.error().code == POCKET_NOT_FOUND) make_gone(index);
    return failed(index, "reading", std::move(now).error());
  }
  if (now->amount == record.value && record.value == record.next &&
      now->period_us == record.period_us) {
    return {};
  }
  return settle_different(index, *now);
}

Result<void> Book::settle_different(uint32_t index, Limit read) {
  const AccountRecord& record = account(index);
  const auto now = known_limit(static_cast<Resource>(record.resource), read);
  if (!now) {
    return Error{POCKET_INTERNAL, "the driver gives the " + title(record) +
                                      " an impossible period of " + std::to_string(read.period_us) +
                                      " us"};
  }
  const bool ours = now->period_us == record.period_us &&
                    (now->amount == record.value || now->amount == record.next);
  if (ours && record.value == record.next) return {};
  const bool written = now->amount == record.next;
  if (ours && resolve(ledger_, index, written)) {
    note(index,
         written ? "an interrupted change had happened" : "an interrupted change had not happened");
    free_ended();
    return {};
  }
  make_new_base(index, *now);
  return {};
}

/// Of an account that was taken over from a dead service.
Result<void> Book::open_file(uint32_t index) {
  const AccountRecord& record = account(index);
  if (record.state != AccountState::kOpen) {
    return Error{POCKET_NOT_FOUND, "the group '" + std::string(name_of(record)) + "' is gone"};
  }
  auto file = driver_.open(static_cast<Resource>(record.resource), std::string(name_of(record)));
  if (!file.ok()) {
    if (file.error().code == POCKET_NOT_FOUND) make_gone(index);
    return failed(index, "opening", std::move(file).error());
  }
  live_[index].file = std::move(*file);
  return {};
}

/// Finds out what a write that reported an error has done. Success: it happened after all.
Result<void> Book::write_failed(uint32_t index, Error why) {
  const AccountRecord& record = account(index);
  Error error = failed(index, "writing", std::move(why));
  if (error.code == POCKET_NOT_FOUND) {
    make_gone(index);
    return error;
  }
  auto read = live_[index].file->read();
  if (!read.ok()) {
    if (read.error().code == POCKET_NOT_FOUND) {
      make_gone(index);
    } else {
      error.message += "; what it holds now cannot be read: " + read.error().message;
    }
    return error;
  }
  const auto now = known_limit(static_cast<Resource>(record.resource), *read);
  if (!now) return error;  // in doubt until the driver makes sense again
  if (now->period_us == record.period_us && now->amount == record.next) return {};
  if (now->period_us != record.period_us || now->amount != record.value ||
      !resolve(ledger_, index, false)) {
    error.code = POCKET_BUSY;
    make_new_base(index, *now);
    return error;
  }
  free_ended();
  return error;
}

Error Book::failed(uint32_t index, const char* call, Error why) {
  return std::move(why).with_context(std::string(call) + " the " + title(account(index)));
}

void Book::make_new_base(uint32_t index, const Limit& now) {
  const AccountRecord& record = account(index);
  note(index, "somebody else set it to " + limit_text(static_cast<Resource>(record.resource), now) +
                  " where " + limit_text(record, record.value) + " was left; that is its base now");
  set_new_base(ledger_, index, now);
  free_ended();
}

void Book::make_gone(uint32_t index) {
  const AccountRecord& record = account(index);
  if (record.state != AccountState::kOpen) return;
  note(index, "the group is gone; its loans end");
  by_name_.erase(std::string(resource_name(static_cast<Resource>(record.resource))) + " " +
                 std::string(name_of(record)));
  set_gone(ledger_, index);
  live_[index].file.reset();
  drain_ = true;
  free_ended();
}

void Book::free_ended() {
  const auto used = static_cast<uint32_t>(ledger_.loans().size());
  for (uint32_t slot = 0; slot < used; ++slot) {
    if (loan(slot).state == LoanState::kEnded) free_loan(slot);
  }
}

void Book::drain() {
  if (drain_) (void)retry_owed();
}

size_t Book::retry_owed() {
  do {
    drain_ = false;
    const auto accounts = static_cast<uint32_t>(ledger_.accounts().size());
    for (uint32_t index = 0; index < accounts; ++index) {
      const AccountRecord& record = account(index);
      if (record.state != AccountState::kOpen || record.value == record.next) continue;
      auto settled = settle(index);
      if (!settled.ok()) last_error_ = std::move(settled).error().message;
    }
    const auto loans = static_cast<uint32_t>(ledger_.loans().size());
    for (uint32_t slot = 0; slot < loans; ++slot) {
      if (loan(slot).state == LoanState::kFree || (loan(slot).flags & kLoanOwed) == 0) continue;
      auto returned = return_loan(slot);
      if (!returned.ok()) last_error_ = std::move(returned).error().message;
    }
    for (uint32_t index = 0; index < accounts; ++index) close_if_unused(index);
  } while (drain_);  // each round closes an account, so they end
  return owed();
}

size_t Book::owed() const {
  size_t count = 0;
  for (const AccountRecord& record : ledger_.accounts()) {
    count += record.state == AccountState::kOpen && record.value != record.next;
  }
  for (const LoanRecord& record : ledger_.loans()) {
    count += record.state != LoanState::kFree && (record.flags & kLoanOwed) != 0;
  }
  return count;
}

std::vector<std::string> Book::reconcile() { return repair(); }

std::vector<std::string> Book::repair() {
  std::vector<std::string> notes;
  notes_ = &notes;
  const auto accounts = static_cast<uint32_t>(ledger_.accounts().size());
  for (uint32_t index = 0; index < accounts; ++index) {
    if (account(index).state != AccountState::kOpen) continue;
    if (account(index).value == account(index).next && !recompute_sums(ledger_, index)) {
      note(index, "the sums of its loans were wrong");
    }
    auto settled = settle(index);
    if (!settled.ok() && settled.error().code != POCKET_NOT_FOUND) {
      notes.push_back(std::move(settled).error().message);
    }
  }
  struct Before {
    uint32_t index;
    int64_t value;
    uint64_t foreign_changes;
  };
  std::vector<Before> before;
  for (uint32_t index = 0; index < accounts; ++index) {
    const AccountRecord& record = account(index);
    if (record.state != AccountState::kOpen) continue;
    before.push_back({index, record.value, record.foreign_changes});
  }
  const size_t left = retry_owed();
  for (const Before& was : before) {
    const AccountRecord& record = account(was.index);
    if (record.value == was.value || record.foreign_changes != was.foreign_changes) continue;
    note(was.index, limit_text(record, was.value) + " -> " + limit_text(record, record.value) +
                        (record.value == record.base ? " (its base)" : ""));
  }
  if (left > 0) {
    notes.push_back(std::to_string(left) +
                    " loans or limits are still owed and are retried: " + last_error_);
  }
  notes_ = nullptr;
  return notes;
}

void Book::note(uint32_t index, const std::string& what) {
  if (notes_ != nullptr) notes_->push_back(title(account(index)) + ": " + what);
}

}  // namespace pocket::lease
