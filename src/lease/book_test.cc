// What one loan does, write by write: order, counts, partial grants, reasons; and accounts.
#include "lease/book_fixture.h"

namespace pocket::lease {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

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

}  // namespace
}  // namespace pocket::lease
