// A loan: part of one group's limit, working in another group, which comes home by itself.
#pragma once

#include <cstdint>
#include <utility>

#include "base/result.h"
#include "lease/amounts.h"

namespace pocket::lease {

class Book;

/// Move-only; gives back in its destructor. Must not outlive its book, and belongs to the book's
/// thread. An empty one (nothing granted, moved from, given back) holds nothing.
class Loan {
 public:
  Loan() = default;
  Loan(Loan&& other) noexcept { *this = std::move(other); }
  Loan& operator=(Loan&& other) noexcept;
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  ~Loan() { (void)give_back(); }  // what fails stays owed in the ledger and is retried

  /// What was taken from the lender, in its unit: microseconds of its period, or bytes. 0: nothing.
  int64_t granted() const { return amounts_.lender; }
  /// The same for the borrower, in its unit.
  int64_t granted_to_borrower() const { return amounts_.borrower; }
  /// Why granted() is less than was wanted.
  Shortfall shortfall() const { return amounts_.shortfall; }
  const char* reason() const { return shortfall_text(amounts_.shortfall); }
  bool held() const { return book_ != nullptr; }

  /// Shrinks the borrower, then grows the lender; the object is empty afterwards in any case. An
  /// error means that a part could not be returned now: it is owed, Book::retry_owed() returns it.
  Result<void> give_back();

  /// Lets go without giving back: the loan stays out, in the ledger, until the ledger is opened
  /// again. For a service that ends while another takes over, and for tests.
  void abandon() { book_ = nullptr; }

 private:
  friend class Book;
  Loan(Book* book, uint32_t slot, const Amounts& amounts)
      : book_(book), slot_(slot), amounts_(amounts) {}
  Book* book_ = nullptr;
  uint32_t slot_ = 0;
  Amounts amounts_;
};

}  // namespace pocket::lease
