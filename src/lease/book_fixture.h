// For the tests of this room: a book over a fake driver, with short words for what they do.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lease/book.h"
#include "lease/fake_driver.h"
#include "lease/test_folder.h"

namespace pocket::lease {

constexpr int64_t kMiB = 1 << 20;

class BookTest : public testing::Test {
 protected:
  void SetUp() override {
    driver_.record_writes = true;
    open();
  }

  /// Opens the ledger as the next service; loans of the previous one must have been abandoned.
  void open() {
    book_.reset();
    auto ledger = Ledger::open(folder_.file("ledger"), {16, 32, {}});
    ASSERT_TRUE(ledger.ok()) << ledger.error().message;
    auto book = Book::open(std::move(*ledger), driver_);
    ASSERT_TRUE(book.ok()) << book.error().message;
    book_ = std::move(*book);
  }
  FakeLimit& cpu(const std::string& name, int64_t quota, int64_t period = 100'000) {
    return driver_.add(Resource::kCpu, name, {quota, period});
  }
  FakeLimit& memory(const std::string& name, int64_t bytes, int64_t used = 0) {
    return driver_.add(Resource::kMemory, name, {bytes, 0}, used);
  }
  AccountId account(const FakeLimit& limit) {
    auto id = book_->add_account(limit.resource, limit.name);
    EXPECT_TRUE(id.ok()) << id.error().message;
    return id.ok() ? *id : AccountId{};
  }
  Loan lend(AccountId lender, AccountId borrower, int64_t wanted) {
    auto loan = book_->lend(lender, borrower, wanted);
    EXPECT_TRUE(loan.ok()) << loan.error().message;
    return loan.ok() ? std::move(*loan) : Loan();
  }
  /// The next `count` calls of a kind on a limit fail.
  void fail_next(FakeCall call, const FakeLimit& limit, int count,
                 FakeFault::When when = FakeFault::kBefore) {
    driver_.fault = [=, this, left = count, wanted = &limit](FakeCall made, FakeLimit& on) mutable {
      if (made != call || &on != wanted || left == 0) return FakeFault{};
      --left;
      return FakeFault{when, POCKET_INTERNAL};
    };
  }
  AccountView view(const FakeLimit& limit) {
    for (const AccountView& shown : book_->accounts()) {
      if (shown.name == limit.name && !shown.gone) return shown;
    }
    return {};
  }
  std::vector<std::string> writes() { return std::exchange(driver_.written, {}); }

  TestFolder folder_;
  FakeDriver driver_;
  std::unique_ptr<Book> book_;
};

}  // namespace pocket::lease
