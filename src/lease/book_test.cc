// What one loan does, write by write: order, counts, partial grants, failures, changes by others,
// groups that vanish, recovery.
#include "lease/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lease/fake_driver.h"
#include "lease/test_folder.h"

namespace pocket::lease {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

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

TEST_F(BookTest, ShrinksTheLenderThenGrowsTheBorrowerAndBack) {
  FakeLimit& a = cpu("a", 130'000);
  FakeLimit& b = cpu("b", 50'000, 50'000);
  const AccountId lender = account(a);
  const AccountId borrower = account(b);
  driver_.calls = {};
  {
    Loan loan = lend(lender, borrower, 104'000);
    EXPECT_EQ(loan.granted(), 104'000);
    EXPECT_EQ(loan.granted_to_borrower(), 52'000);
    EXPECT_STREQ(loan.reason(), "");
    EXPECT_THAT(writes(), ElementsAre("a=26000", "b=102000"));
    EXPECT_EQ(view(a).lent, 104'000);
    EXPECT_EQ(view(b).borrowed, 52'000);
    const ConservedSum sum = book_->conserved_sum(Resource::kCpu);
    EXPECT_TRUE(sum.conserved);
    EXPECT_EQ(sum.base, 2'300'000);
    EXPECT_EQ(sum.files, 2'300'000);
    driver_.calls.reads = 2;  // without those of the views
  }
  EXPECT_THAT(writes(), ElementsAre("b=50000", "a=130000"));
  EXPECT_EQ(driver_.calls.writes, 4);
  EXPECT_EQ(driver_.calls.reads, 4);
  EXPECT_EQ(driver_.calls.spares, 1);
  EXPECT_EQ(driver_.calls.opens, 0);
}

TEST_F(BookTest, ManyLoansAddUpWithOneWriteOfTheBorrower) {
  FakeLimit* lenders[] = {&cpu("a", 100'000), &cpu("b", 100'000), &cpu("c", 40'000, 20'000)};
  FakeLimit& service = cpu("s", 10'000);
  const AccountId borrower = account(service);
  Ask asks[3];
  for (int i = 0; i < 3; ++i) asks[i] = {account(*lenders[i]), 10'000};
  driver_.calls = {};
  book_->lend_many(borrower, asks);
  EXPECT_THAT(writes(), ElementsAre("a=90000", "b=90000", "c=30000", "s=80000"));
  EXPECT_EQ(driver_.calls.reads, 4);
  std::vector<Loan> loans;
  for (Ask& ask : asks) {
    ASSERT_TRUE(ask.loan.ok());
    loans.push_back(std::move(*ask.loan));
  }
  EXPECT_TRUE(book_->give_back_many(loans).ok());
  EXPECT_THAT(writes(), UnorderedElementsAre("s=10000", "a=100000", "b=100000", "c=40000"));
  EXPECT_EQ(driver_.calls.writes, 8);
  EXPECT_EQ(driver_.calls.reads, 8);
  for (const Loan& loan : loans) EXPECT_FALSE(loan.held());
}

TEST_F(BookTest, EachAskHasItsOwnResult) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", kUnlimited);
  FakeLimit& c = memory("c", 512 * kMiB);
  FakeLimit& d = cpu("d", 100'000);
  FakeLimit& service = cpu("s", 10'000);
  Ask asks[] = {{account(a), 5000}, {account(b), 5000}, {account(c), 5000},
                {account(d), 5000}, {AccountId{}, 1},   {account(d), 5000}};
  d.exists = false;
  book_->lend_many(account(service), asks);
  ASSERT_TRUE(asks[0].loan.ok());
  EXPECT_EQ(asks[0].loan->granted(), 5000);
  ASSERT_TRUE(asks[1].loan.ok());
  EXPECT_STREQ(asks[1].loan->reason(), "the lender is unlimited");
  EXPECT_EQ(asks[2].loan.error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(asks[3].loan.error().code, POCKET_NOT_FOUND);
  EXPECT_EQ(asks[4].loan.error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(asks[5].loan.error().code, POCKET_NOT_FOUND);
  EXPECT_EQ(service.limit.amount, 15'000);
}

TEST_F(BookTest, LendsWhatCanBeSparedNow) {
  FakeLimit& a = memory("a", 512 * kMiB, 500 * kMiB);
  FakeLimit& b = memory("b", 1024 * kMiB);
  Loan loan = lend(account(a), account(b), 256 * kMiB);
  EXPECT_EQ(loan.granted(), 12 * kMiB);
  EXPECT_EQ(loan.shortfall(), Shortfall::kPartlySpare);
  const Loan second = lend(account(a), account(b), 256 * kMiB);
  EXPECT_EQ(second.granted(), 0);
  EXPECT_FALSE(second.held());
  EXPECT_STREQ(second.reason(), "the lender can spare nothing now");
}

TEST_F(BookTest, ALenderKeepsTheSmallestQuotaAndLendsOnlyItsOwn) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 20'000);
  FakeLimit& c = cpu("c", 20'000);
  const Loan first = lend(account(a), account(b), 1'000'000);
  EXPECT_EQ(a.limit.amount, 1000);
  EXPECT_EQ(b.limit.amount, 119'000);
  const Loan second = lend(account(b), account(c), 1'000'000);
  EXPECT_EQ(second.granted(), 19'000);  // the 99,000 it has borrowed are not its own
}

TEST_F(BookTest, ReasonsForNothing) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& unlimited = cpu("u", kUnlimited);
  FakeLimit& odd = cpu("o", 100'000, 33'333);
  EXPECT_STREQ(lend(account(unlimited), account(a), 10).reason(), "the lender is unlimited");
  EXPECT_STREQ(lend(account(a), account(unlimited), 10).reason(), "the borrower is unlimited");
  EXPECT_STREQ(lend(account(a), account(odd), 0).reason(), "nothing was to be lent");
  EXPECT_EQ(lend(account(odd), account(a), 10'000).shortfall(), Shortfall::kPeriods);
  EXPECT_THAT(writes(), IsEmpty());
  const Loan rounded = lend(account(odd), account(a), 40'000);
  EXPECT_EQ(rounded.granted(), 33'333);
  EXPECT_EQ(rounded.granted_to_borrower(), 100'000);
  EXPECT_EQ(rounded.shortfall(), Shortfall::kRounded);
  EXPECT_EQ(book_->lend(account(a), account(odd), -5).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(book_->lend(account(a), account(a), 5).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(book_->lend(account(a), account(memory("m", kMiB)), 5).error().code,
            POCKET_INVALID_ARGUMENT);
}

TEST_F(BookTest, AnUnlimitedBorrowerMayGetALimitLater) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", kUnlimited);
  EXPECT_EQ(lend(account(a), account(b), 5000).granted(), 0);
  b.limit = {20'000, 50'000};
  const Loan loan = lend(account(a), account(b), 5000);
  EXPECT_EQ(loan.granted_to_borrower(), 2500);
}

TEST_F(BookTest, ARefusedLenderChangesNothing) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  fail_next(FakeCall::kWrite, a, 1);
  auto loan = book_->lend(account(a), account(b), 5000);
  ASSERT_FALSE(loan.ok());
  EXPECT_THAT(loan.error().message, HasSubstr("writing the cpu limit of 'a'"));
  EXPECT_THAT(writes(), IsEmpty());
  EXPECT_EQ(book_->owed(), 0u);
}

TEST_F(BookTest, ARefusedBorrowerUndoesTheLender) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  fail_next(FakeCall::kWrite, b, 1);
  EXPECT_FALSE(book_->lend(account(a), account(b), 5000).ok());
  EXPECT_THAT(writes(), ElementsAre("a=95000", "a=100000"));
  EXPECT_EQ(book_->owed(), 0u);
}

TEST_F(BookTest, WhatCannotBeUndoneIsOwed) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  const AccountId lender = account(a);
  const AccountId borrower = account(b);
  driver_.fault = [&](FakeCall call, FakeLimit& limit) {
    const bool growing = call == FakeCall::kWrite && (&limit == &b || a.limit.amount < 100'000);
    return FakeFault{growing ? FakeFault::kBefore : FakeFault::kNever, POCKET_INTERNAL};
  };
  EXPECT_FALSE(book_->lend(lender, borrower, 5000).ok());
  EXPECT_EQ(a.limit.amount, 95'000);
  EXPECT_EQ(book_->owed(), 1u);
  EXPECT_EQ(book_->retry_owed(), 1u);
  const ConservedSum sum = book_->conserved_sum(Resource::kCpu);
  EXPECT_EQ(sum.in_transit, 50'000);
  EXPECT_EQ(sum.base, sum.files + sum.in_transit);
  EXPECT_TRUE(sum.conserved);
  driver_.fault = nullptr;
  EXPECT_EQ(book_->retry_owed(), 0u);
  EXPECT_EQ(a.limit.amount, 100'000);
  EXPECT_EQ(b.limit.amount, 50'000);
}

TEST_F(BookTest, AWriteThatReportsAFailureMayHaveHappened) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  fail_next(FakeCall::kWrite, b, 1, FakeFault::kAfter);
  const Loan loan = lend(account(a), account(b), 5000);
  EXPECT_EQ(loan.granted(), 5000);
  EXPECT_EQ(b.limit.amount, 55'000);
}

TEST_F(BookTest, AnUnknownOutcomeIsFoundOutLater) {
  for (const auto when : {FakeFault::kBefore, FakeFault::kAfter}) {
    FakeLimit& a = cpu("a", 100'000);
    FakeLimit& b = cpu("b", 50'000);
    const AccountId lender = account(a);
    const AccountId borrower = account(b);
    bool dead = false;  // from its write on, nothing of b can be read
    driver_.fault = [&](FakeCall call, FakeLimit& limit) {
      if (&limit != &b || (call == FakeCall::kRead && !dead)) return FakeFault{};
      dead = true;
      return FakeFault{call == FakeCall::kWrite ? when : FakeFault::kBefore, POCKET_INTERNAL};
    };
    EXPECT_FALSE(book_->lend(lender, borrower, 5000).ok());
    EXPECT_EQ(b.limit.amount, when == FakeFault::kAfter ? 55'000 : 50'000);
    EXPECT_EQ(a.limit.amount, 95'000);  // it must not grow while b may hold its part
    EXPECT_GT(book_->retry_owed(), 0u);
    driver_.fault = nullptr;
    EXPECT_EQ(book_->retry_owed(), 0u);
    EXPECT_EQ(a.limit.amount, 100'000);
    EXPECT_EQ(b.limit.amount, 50'000);
    EXPECT_EQ(view(b).foreign_changes, 0u);
  }
}

TEST_F(BookTest, MemoryInUseIsReturnedLater) {
  FakeLimit& a = memory("a", 512 * kMiB);
  FakeLimit& b = memory("b", 256 * kMiB);
  Loan loan = lend(account(a), account(b), 128 * kMiB);
  b.used = 300 * kMiB;
  auto returned = loan.give_back();
  ASSERT_FALSE(returned.ok());
  EXPECT_EQ(returned.error().code, POCKET_BUSY);
  EXPECT_FALSE(loan.held());
  EXPECT_EQ(a.limit.amount, 384 * kMiB);
  EXPECT_EQ(book_->owed(), 1u);
  b.used = 0;
  EXPECT_EQ(book_->retry_owed(), 0u);
  EXPECT_EQ(a.limit.amount, 512 * kMiB);
  EXPECT_EQ(b.limit.amount, 256 * kMiB);
}

TEST_F(BookTest, ALendersNewLimitIsKept) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  Loan loan = lend(account(a), account(b), 40'000);
  a.limit = {70'000, 100'000};
  EXPECT_TRUE(loan.give_back().ok());
  EXPECT_EQ(a.limit.amount, 70'000);
  EXPECT_EQ(b.limit.amount, 50'000);
  EXPECT_EQ(view(a).base, 70'000);
  EXPECT_EQ(view(a).foreign_changes, 1u);
  EXPECT_EQ(book_->owed(), 0u);
}

TEST_F(BookTest, ABorrowersNewLimitIsKept) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  const AccountId lender = account(a);
  const AccountId borrower = account(b);
  Loan loan = lend(lender, borrower, 40'000);
  b.limit = {60'000, 25'000};
  Loan on_top = lend(lender, borrower, 8'000);
  EXPECT_EQ(on_top.shortfall(), Shortfall::kBorrowerChanged);  // its period is another
  EXPECT_EQ(a.limit.amount, 60'000);
  on_top = lend(lender, borrower, 8'000);
  EXPECT_EQ(b.limit.amount, 62'000);
  EXPECT_TRUE(loan.give_back().ok());
  EXPECT_TRUE(on_top.give_back().ok());
  EXPECT_EQ(a.limit.amount, 100'000);
  EXPECT_EQ(b.limit, (Limit{60'000, 25'000}));
}

TEST_F(BookTest, ALimitThatWasTakenAwayIsKept) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  Loan loan = lend(account(a), account(b), 40'000);
  a.limit.amount = kUnlimited;
  EXPECT_EQ(lend(account(a), account(b), 10).shortfall(), Shortfall::kLenderUnlimited);
  const ConservedSum sum = book_->conserved_sum(Resource::kCpu);
  EXPECT_EQ(sum.unbacked, 400'000);
  EXPECT_EQ(sum.base + sum.unbacked, sum.files + sum.in_transit);
  EXPECT_TRUE(loan.give_back().ok());
  EXPECT_EQ(a.limit.amount, kUnlimited);
  EXPECT_EQ(b.limit.amount, 50'000);
}

TEST_F(BookTest, ALenderThatVanishesEndsItsLoansAtOnce) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  const AccountId gone = account(a);
  Loan first = lend(gone, account(b), 20'000);
  Loan second = lend(gone, account(b), 20'000);
  a.exists = false;
  EXPECT_TRUE(first.give_back().ok());
  EXPECT_EQ(b.limit.amount, 50'000);  // the second one's part as well
  EXPECT_EQ(book_->lend(gone, account(b), 10).error().code, POCKET_NOT_FOUND);
  a.exists = true;
  a.limit.amount = 30'000;  // the same name, another group
  const AccountId again = account(a);
  EXPECT_NE(again, gone);
  EXPECT_TRUE(second.give_back().ok());
  EXPECT_EQ(a.limit.amount, 30'000);
  EXPECT_EQ(b.limit.amount, 50'000);
}

TEST_F(BookTest, ABorrowerThatVanishesReturnsEverything) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 100'000);
  FakeLimit& service = cpu("s", 50'000);
  const AccountId borrower = account(service);
  Loan first = lend(account(a), borrower, 20'000);
  Loan second = lend(account(b), borrower, 20'000);
  service.exists = false;
  EXPECT_EQ(book_->lend(account(a), borrower, 1000).error().code, POCKET_NOT_FOUND);
  EXPECT_EQ(a.limit.amount, 100'000);
  EXPECT_EQ(b.limit.amount, 100'000);
  EXPECT_TRUE(first.give_back().ok());
  EXPECT_TRUE(second.give_back().ok());
  EXPECT_EQ(book_->owed(), 0u);
}

TEST_F(BookTest, AccountsAreCounted) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  const AccountId first = account(a);
  EXPECT_EQ(account(a), first);
  book_->release_account(first);
  EXPECT_TRUE(book_->base(first).ok());
  Loan loan = lend(first, account(b), 10'000);
  book_->release_account(first);
  EXPECT_EQ(view(a).lent, 10'000);  // its loan keeps the account
  EXPECT_TRUE(loan.give_back().ok());
  EXPECT_EQ(a.limit.amount, 100'000);
  EXPECT_FALSE(book_->base(first).ok());
  EXPECT_EQ(book_->accounts().size(), 1u);
  EXPECT_EQ(book_->add_account(Resource::kCpu, "nobody").error().code, POCKET_NOT_FOUND);
  EXPECT_EQ(book_->add_account(Resource::kCpu, "").error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(book_->add_account(Resource::kCpu, std::string(701, 'x')).error().code,
            POCKET_INVALID_ARGUMENT);
}

TEST_F(BookTest, AFullLedgerRefusesAndChangesNothing) {
  FakeLimit& a = cpu("a", 1'000'000);
  FakeLimit& b = cpu("b", 50'000);
  std::vector<Loan> loans;
  for (int i = 0; i < 32; ++i) loans.push_back(lend(account(a), account(b), 1000));
  writes();
  EXPECT_EQ(book_->lend(account(a), account(b), 1000).error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_THAT(writes(), IsEmpty());
  loans.clear();
  EXPECT_EQ(a.limit.amount, 1'000'000);
}

TEST_F(BookTest, RecoveryReturnsEverythingAndSaysSo) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  FakeLimit& changed = cpu("c", 80'000);
  FakeLimit& gone = cpu("g", 90'000);
  for (FakeLimit* lender : {&a, &changed, &gone})
    lend(account(*lender), account(b), 10'000).abandon();
  changed.limit.amount = 66'000;
  gone.exists = false;
  open();
  EXPECT_THAT(
      book_->repairs(),
      UnorderedElementsAre("cpu limit of 'a': 90000 us per 100000 us -> 100000 us per 100000 us"
                           " (its base)",
                           "cpu limit of 'b': 80000 us per 100000 us -> 50000 us per 100000 us"
                           " (its base)",
                           "cpu limit of 'c': somebody else set it to 66000 us per 100000 us where"
                           " 70000 us per 100000 us was left; that is its base now",
                           "cpu limit of 'g': the group is gone; its loans end"));
  EXPECT_EQ(a.limit.amount, 100'000);
  EXPECT_EQ(b.limit.amount, 50'000);
  EXPECT_EQ(changed.limit.amount, 66'000);
  EXPECT_THAT(book_->accounts(), IsEmpty());
  open();
  EXPECT_THAT(book_->repairs(), IsEmpty());
}

TEST_F(BookTest, RecoveryOfABorrowerThatCannotShrinkWaits) {
  FakeLimit& a = memory("a", 512 * kMiB);
  FakeLimit& b = memory("b", 256 * kMiB);
  FakeLimit& c = memory("c", 256 * kMiB);
  lend(account(a), account(b), 128 * kMiB).abandon();
  lend(account(a), account(c), 128 * kMiB).abandon();
  b.used = 300 * kMiB;
  open();
  EXPECT_EQ(a.limit.amount, 384 * kMiB);  // c's part is back
  EXPECT_EQ(c.limit.amount, 256 * kMiB);
  EXPECT_EQ(book_->owed(), 1u);
  EXPECT_THAT(book_->repairs().back(), HasSubstr("still owed and are retried"));
  EXPECT_EQ(lend(account(a), account(c), 64 * kMiB).granted(), 64 * kMiB);  // life goes on
  b.used = 0;
  EXPECT_EQ(book_->retry_owed(), 0u);
  EXPECT_EQ(a.limit.amount, 512 * kMiB);
  EXPECT_EQ(b.limit.amount, 256 * kMiB);
}

TEST_F(BookTest, ReconcileRepairsALiveBook) {
  FakeLimit& a = cpu("a", 100'000);
  FakeLimit& b = cpu("b", 50'000);
  const Loan loan = lend(account(a), account(b), 10'000);
  EXPECT_THAT(book_->reconcile(), IsEmpty());
  EXPECT_EQ(loan.granted(), 10'000);
  b.limit.amount = 12'345;
  EXPECT_THAT(book_->reconcile(),
              ElementsAre(HasSubstr("'b': somebody else set it to 12345 us per 100000 us")));
  EXPECT_EQ(view(b).base, 12'345);
  EXPECT_TRUE(view(b).conserved);
  EXPECT_THAT(book_->reconcile(), IsEmpty());
}

}  // namespace
}  // namespace pocket::lease
