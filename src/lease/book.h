// The book of loans: accounts (limit files), loans between them, and how everything comes home.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lease/driver.h"
#include "lease/ledger.h"
#include "lease/loan.h"

namespace pocket::lease {

/// An account of a book; one that was closed is told from its successor.
struct AccountId {
  uint32_t slot = UINT32_MAX;
  uint32_t generation = 0;
  friend bool operator==(const AccountId&, const AccountId&) = default;
};

/// One lender of Book::lend_many and, afterwards, its loan.
struct Ask {
  AccountId lender;
  int64_t wanted = 0;
  Result<Loan> loan = Loan();
};

/// For listings. Amounts in the account's own unit; kUnlimited where there is no limit.
struct AccountView {
  std::string name;
  Resource resource = Resource::kCpu;
  int64_t period_us = 0;
  int64_t base = 0;
  int64_t lent = 0;
  int64_t borrowed = 0;
  std::optional<int64_t> current;  // read from the file just now; none when that failed
  uint64_t foreign_changes = 0;    // how often somebody else changed it
  bool gone = false;
  bool conserved = false;  // current is base - lent + borrowed
};

/// Over all limited accounts of one resource; bytes, or microseconds of CPU time per second
/// (rounded to 1 for each account). base + unbacked == files + in_transit.
struct ConservedSum {
  int64_t base = 0;
  int64_t files = 0;
  int64_t in_transit = 0;  // taken from lenders, not (or no longer) at the borrower
  int64_t unbacked = 0;    // at borrowers, while the lender's side was written off
  bool conserved = false;  // exactly, by each loan and each file
};

/// Belongs to one thread. Calls into the driver block as long as the driver does; nothing else
/// waits, and lend and give_back do not allocate. docs/format-ledger.md has the rules.
class Book {
 public:
  /// Takes over the ledger. What a dead service left in it is returned at once: every limit to its
  /// base, or to what somebody else has set meanwhile. What cannot be reached now stays owed.
  /// `driver` outlives the book.
  static Result<std::unique_ptr<Book>> open(Ledger ledger, Driver& driver);

  /// Leaves the ledger as it is. Every Loan must have been destroyed.
  ~Book() = default;
  Book(const Book&) = delete;
  Book& operator=(const Book&) = delete;

  /// What open() repaired, one sentence each, the ledger's own notes first.
  const std::vector<std::string>& repairs() const { return repairs_; }

  /// The account of a limit file. The same name again is the same account, counted: each call needs
  /// a release_account. NOT_FOUND: no such group; INVALID_ARGUMENT: a name of 0 or > 700 bytes.
  Result<AccountId> add_account(Resource resource, const std::string& name);

  /// The id is void afterwards. The account is closed when nobody else has it and its loans are
  /// back.
  void release_account(AccountId id);

  /// The base limit as it was last known. NOT_FOUND when the group is gone.
  Result<Limit> base(AccountId id) const;

  /// Lends up to `wanted` (the lender's unit): less when the lender cannot spare it now, 0 with
  /// Loan::reason() when nothing can be lent. An error: a file could not be read or written; then
  /// nothing is lent and what had been changed is undone, or owed.
  Result<Loan> lend(AccountId lender, AccountId borrower, int64_t wanted);

  /// The same for many lenders with one write of the borrower's file. Each ask has its own result.
  void lend_many(AccountId borrower, std::span<Ask> asks);

  /// Gives back loans of any borrowers, with one write of each borrower's file. Every loan is empty
  /// afterwards; the first error is returned.
  Result<void> give_back_many(std::span<Loan> loans);

  /// Tries again to return what could not be returned; how much is left (see owed).
  size_t retry_owed();
  /// Loans that are owed and files in an unknown state. 0: nothing to retry.
  size_t owed() const;

  /// Compares every file with the ledger, repairs, and says what it repaired; empty: nothing.
  std::vector<std::string> reconcile();

  std::vector<AccountView> accounts() const;
  ConservedSum conserved_sum(Resource resource) const;
  const Ledger& ledger() const { return ledger_; }

 private:
  friend class Loan;
  /// What is known of an account beside its record.
  struct Live {
    std::unique_ptr<LimitFile> file;
    uint32_t references = 0;  // add_account without release_account
    uint32_t loans = 0;       // loan records that name it
    uint32_t generation = 0;
  };

  Book(Ledger ledger, Driver& driver);
  AccountRecord& account(uint32_t index) const { return ledger_.accounts()[index]; }
  LoanRecord& loan(uint32_t slot) const { return ledger_.loans()[slot]; }

  // book.cc
  void adopt();
  Result<uint32_t> find(AccountId id) const;
  Result<uint32_t> create_account(Resource resource, const std::string& name);
  void close_if_unused(uint32_t index);

  // book_loans.cc
  struct Taken {
    uint32_t slot = 0;
    Amounts amounts;
  };
  Result<Loan> lend_now(AccountId lender, AccountId borrower, int64_t wanted);
  Result<Taken> take(uint32_t lender, uint32_t borrower, int64_t wanted);
  Result<uint32_t> new_loan(uint32_t lender, uint32_t borrower, const Amounts& amounts);
  Result<Shortfall> grow(uint32_t borrower, int64_t period_us, std::span<const uint32_t> slots);
  void undo(std::span<const uint32_t> slots);
  Result<void> give_back(uint32_t slot);
  Result<void> shrink(uint32_t borrower, std::span<uint32_t> slots);
  Result<void> return_loan(uint32_t slot);
  Result<void> return_step(uint32_t slot);
  void free_loan(uint32_t slot);
  Result<void> change(uint32_t index, int64_t next, std::span<const uint32_t> slots,
                      LoanState pending, LoanState done);

  // book_repair.cc
  Result<void> settle(uint32_t index);
  Result<void> settle_different(uint32_t index, Limit read);
  Result<void> open_file(uint32_t index);
  Result<void> write_failed(uint32_t index, Error why);
  Error failed(uint32_t index, const char* call, Error why);
  void make_new_base(uint32_t index, const Limit& now);
  void make_gone(uint32_t index);
  void free_ended();
  void drain();
  std::vector<std::string> repair();
  void note(uint32_t index, const std::string& what);

  Ledger ledger_;
  Driver& driver_;
  const int64_t page_bytes_;
  std::vector<Live> live_;
  std::unordered_map<std::string, uint32_t> by_name_;
  std::vector<uint32_t> free_accounts_;
  std::vector<uint32_t> free_loans_;
  std::vector<uint32_t> batch_;                // slots of the batch being made
  std::vector<uint32_t> batch_asks_;           // and the asks they belong to
  bool drain_ = false;                         // a group vanished: its loans are to be ended
  std::string last_error_;                     // of the last retry
  std::vector<std::string>* notes_ = nullptr;  // where repair() collects
  std::vector<std::string> repairs_;
};

}  // namespace pocket::lease
