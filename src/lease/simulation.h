// The random world of property_test.cc: groups with limits, a book over them, and everything that
// can happen to both.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "lease/book.h"
#include "lease/conserved.h"
#include "lease/fake_driver.h"
#include "lease/test_folder.h"

namespace pocket::lease {

/// What a kill looks like in this test: thrown at a store or a driver call.
struct Killed {};

/// One limit file and what it should hold when nothing is lent.
struct Group {
  FakeLimit* limit = nullptr;
  Limit truth;
  AccountId account;
  bool changed = false;  // by others, and the book may not have seen it yet
};

constexpr std::array<int64_t, 6> kPeriods = {10'000, 50'000, 100'000, 1'000'000, 33'333, 70'007};
constexpr size_t kCpuGroups = 8;
constexpr size_t kMemoryGroups = 5;
constexpr uint32_t kGroups = kCpuGroups + kMemoryGroups;
constexpr uint32_t kLoans = 40;

class Simulation {
 public:
  /// Without `foreign`, nobody but the book touches a file, and the sum is checked at every write.
  Simulation(uint64_t seed, bool foreign) : random_(seed), foreign_(foreign) {
    for (const int64_t period : kPeriods) scale_ = std::lcm(scale_, period);
    driver_.boundary = [this] { boundary(); };
    driver_.fault = [this](FakeCall call, FakeLimit& limit) { return fault(call, limit); };
    driver_.changed = [this](FakeLimit& limit, int64_t before) { written(limit, before); };
    for (size_t i = 0; i < groups_.size(); ++i) {
      const Resource resource = i < kCpuGroups ? Resource::kCpu : Resource::kMemory;
      groups_[i].truth = random_limit(resource);
      groups_[i].limit = &driver_.add(resource, "/group/" + std::to_string(i), groups_[i].truth);
    }
    start(true);
  }

  void run(int operations) {
    for (int i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      faults_ = !pick(4);
      if (pick(12)) kill_after_ = 1 + static_cast<int64_t>(random_() % 80);
      try {
        operation();
        kill_after_ = 0;
      } catch (const Killed&) {
        restart();
      }
      check();
    }
    finish();
  }

  int kills() const { return kills_; }
  int lent() const { return lent_; }
  int owed_seen() const { return owed_seen_; }
  int foreign_seen() const { return foreign_seen_; }

 private:
  bool pick(uint64_t one_in) { return random_() % one_in == 0; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  Limit random_limit(Resource resource) {
    if (foreign_ && pick(16)) {
      return {kUnlimited, resource == Resource::kCpu ? kPeriods[random_() % kPeriods.size()] : 0};
    }
    if (resource == Resource::kMemory) return {between(1, 1 << 20) * 4096, 0};
    const int64_t period = kPeriods[random_() % kPeriods.size()];
    return {between(1000, 40 * period), period};
  }
  Group& random_group() { return groups_[random_() % groups_.size()]; }
  Group& random_group(Resource resource) {
    return resource == Resource::kCpu ? groups_[random_() % kCpuGroups]
                                      : groups_[kCpuGroups + random_() % kMemoryGroups];
  }

  // What the driver calls.
  void boundary() {
    if (kill_after_ > 0 && --kill_after_ == 0) throw Killed();
  }
  static void store(void* self) { static_cast<Simulation*>(self)->boundary(); }
  FakeFault fault(FakeCall call, FakeLimit& limit) {
    if (call == FakeCall::kRead && foreign_ && meddle_ && pick(400)) {
      for (Group& group : groups_) {
        if (group.limit == &limit && limit.exists) change_by_others(group);
      }
    }
    if (!faults_ || !pick(30)) return {};
    constexpr pocket_status kCodes[] = {POCKET_INTERNAL, POCKET_BUSY, POCKET_PERMISSION_DENIED};
    return {pick(3) ? FakeFault::kAfter : FakeFault::kBefore, kCodes[random_() % 3]};
  }
  void written(const FakeLimit& limit, int64_t before) {
    ASSERT_GT(limit.limit.amount, 0);
    if (foreign_) return;
    __int128& excess = limit.resource == Resource::kCpu ? cpu_excess_ : memory_excess_;
    excess += scaled(limit.limit.amount - before, limit.limit.period_us, scale_);
    ASSERT_TRUE(excess <= 0) << "more handed out than there is, by a write of " << limit.name;
  }
  void change_by_others(Group& group) {
    group.limit->limit = group.truth = random_limit(group.limit->resource);
    group.limit->used = std::min(group.limit->used, std::max<int64_t>(0, group.truth.amount));
    group.changed = true;
  }

  void operation() {
    const Resource resource = pick(3) ? Resource::kMemory : Resource::kCpu;
    const uint64_t kind = random_() % 100;
    if (kind < 42) {
      lend_one(resource);
    } else if (kind < 76) {
      if (loans_.empty()) return;
      const size_t which = random_() % loans_.size();
      std::swap(loans_[which], loans_.back());
      Loan loan = std::move(loans_.back());
      loans_.pop_back();
      killable(loan, [&] { (void)loan.give_back(); });
    } else if (kind < 82) {
      lend_several(resource);
    } else if (kind < 88) {
      give_several_back();
    } else if (kind < 91) {
      owed_seen_ += book_->owed() > 0;
      (void)book_->retry_owed();
    } else if (kind < 92) {
      (void)book_->reconcile();
    } else if (kind < 95) {
      Group& group = random_group();
      group.limit->most_spare = pick(2) ? -1 : between(0, 200'000);
      if (group.limit->resource == Resource::kMemory && group.limit->limit.amount > 0) {
        group.limit->used = pick(2) ? 0 : between(0, group.limit->limit.amount);
      }
    } else if (kind < 97) {
      renew_account(random_group());
    } else if (foreign_ && kind < 99) {
      change_by_others(random_group());
    } else if (foreign_) {
      vanish(random_group());
    }
  }

  template <typename F>
  void killable(Loan& loan, F call) {
    try {
      call();
    } catch (const Killed&) {
      loan.abandon();
      throw;
    }
  }

  int64_t random_wanted(const Group& group) {
    const int64_t limit = std::max<int64_t>(group.limit->limit.amount, 10'000);
    return pick(2) ? between(0, limit) : limit / 2;
  }

  void lend_one(Resource resource) {
    Group& lender = random_group(resource);
    auto loan = book_->lend(lender.account, random_group(resource).account, random_wanted(lender));
    if (!loan.ok() || !loan->held()) return;
    ++lent_;
    ASSERT_GT(loan->granted(), 0);
    ASSERT_GT(loan->granted_to_borrower(), 0);
    loans_.push_back(std::move(*loan));
  }

  void lend_several(Resource resource) {
    std::array<Ask, 5> asks;
    const size_t count = 1 + random_() % asks.size();
    for (size_t i = 0; i < count; ++i) {
      const Group& lender = random_group(resource);
      asks[i].lender = lender.account;
      asks[i].wanted = random_wanted(lender) / 2;
    }
    try {
      book_->lend_many(random_group(resource).account, {asks.data(), count});
    } catch (const Killed&) {
      for (Ask& ask : asks) {
        if (ask.loan.ok()) ask.loan->abandon();
      }
      throw;
    }
    for (Ask& ask : asks) {
      if (!ask.loan.ok() || !ask.loan->held()) continue;
      ++lent_;
      loans_.push_back(std::move(*ask.loan));
    }
  }

  void give_several_back() {
    std::vector<Loan> given;
    for (size_t i = 0; i < 1 + random_() % 6 && !loans_.empty(); ++i) {
      given.push_back(std::move(loans_.back()));
      loans_.pop_back();
    }
    try {
      (void)book_->give_back_many(given);
    } catch (const Killed&) {
      for (Loan& loan : given) loan.abandon();
      throw;
    }
    for (const Loan& loan : given) ASSERT_FALSE(loan.held());
  }

  void renew_account(Group& group) {
    book_->release_account(group.account);
    add(group);
  }

  /// The group goes, and a new one with the same name may come.
  void vanish(Group& group) {
    group.limit->exists = false;
    if (!pick(3)) (void)book_->retry_owed();
    if (pick(4)) return;  // it stays away until check() makes it again
    group.limit->exists = true;
    change_by_others(group);
    renew_account(group);
  }

  void add(Group& group) {
    group.account = {};  // one of an earlier book may be another group's in this one
    const bool faults = std::exchange(faults_, false);
    auto account = book_->add_account(group.limit->resource, group.limit->name);
    faults_ = faults;
    if (account.ok()) {
      group.account = *account;
    } else {
      ASSERT_FALSE(group.limit->exists) << account.error().message;
    }
  }

  // Kills.
  void restart() {
    ++kills_;
    for (Loan& loan : loans_) loan.abandon();
    loans_.clear();
    const bool healthy = pick(2);
    for (;;) {
      try {
        book_.reset();
        faults_ = !healthy && pick(2);
        kill_after_ = healthy || pick(3) ? 0 : 1 + static_cast<int64_t>(random_() % 200);
        start(healthy);
        return;
      } catch (const Killed&) {
        ++kills_;
      }
    }
  }

  void start(bool healthy) {
    meddle_ = false;
    if (healthy) {
      for (Group& group : groups_) group.limit->used = 0;
    }
    auto ledger = Ledger::open(folder_.file("ledger"), {kGroups + 3, kLoans, {store, this}});
    ASSERT_TRUE(ledger.ok()) << ledger.error().message;
    ASSERT_TRUE(ledger->notes().empty()) << ledger->notes()[0];
    auto book = Book::open(std::move(*ledger), driver_);
    ASSERT_TRUE(book.ok()) << book.error().message;
    book_ = std::move(*book);
    if (healthy) {
      EXPECT_EQ(book_->owed(), 0u);
      EXPECT_TRUE(book_->accounts().empty());
      expect_exact("after a restart");
    }
    kill_after_ = 0;
    for (Group& group : groups_) add(group);
    meddle_ = true;
  }

  void expect_exact(const char* when) {
    for (const Group& group : groups_) {
      if (!group.limit->exists) continue;
      EXPECT_EQ(group.limit->limit.amount, group.truth.amount) << group.limit->name << " " << when;
      EXPECT_EQ(group.limit->limit.period_us, group.truth.period_us) << group.limit->name;
    }
  }

  // After each operation.
  void check() {
    const Ledger& ledger = book_->ledger();
    for (const AccountRecord& account : ledger.accounts()) {
      foreign_seen_ += account.foreign_changes > 0;
    }
    expect_conserved(ledger, pick(2) ? Resource::kMemory : Resource::kCpu, scale_);
    check_files(ledger.accounts());
  }

  void check_files(std::span<const AccountRecord> accounts) {
    for (Group& group : groups_) {
      if (!group.limit->exists && pick(3)) {
        group.limit->exists = true;
        change_by_others(group);
      }
      if (group.account.slot == UINT32_MAX || !book_->base(group.account).ok()) {
        book_->release_account(group.account);
        add(group);
        if (!group.limit->exists) continue;
      }
      const AccountRecord& account = accounts[group.account.slot];
      if (account.state != AccountState::kOpen || !group.limit->exists) continue;
      const Limit& file = group.limit->limit;
      const bool expected = file.period_us == account.period_us &&
                            (file.amount == account.value || file.amount == account.next);
      ASSERT_TRUE(expected || group.changed) << group.limit->name << " holds " << file.amount;
      if (!expected) continue;
      ASSERT_EQ(account.base, group.truth.amount) << group.limit->name;
      group.changed = false;
    }
  }

  void finish() {
    faults_ = false;
    meddle_ = false;
    kill_after_ = 0;
    for (Group& group : groups_) group.limit->used = 0;
    for (Loan& loan : loans_) {
      auto returned = loan.give_back();
      EXPECT_TRUE(returned.ok() || returned.error().code == POCKET_NOT_FOUND)
          << returned.error().message;
    }
    loans_.clear();
    EXPECT_EQ(book_->retry_owed(), 0u);
    (void)book_->reconcile();
    expect_exact("at the end");
    for (const Resource resource : {Resource::kCpu, Resource::kMemory}) {
      EXPECT_TRUE(book_->conserved_sum(resource).conserved);
      EXPECT_EQ(book_->conserved_sum(resource).in_transit, 0);
    }
    for (const Group& group : groups_) book_->release_account(group.account);
    for (const AccountRecord& account : book_->ledger().accounts()) {
      EXPECT_EQ(account.state, AccountState::kFree);
    }
    for (const LoanRecord& loan : book_->ledger().loans()) EXPECT_EQ(loan.state, LoanState::kFree);
  }

  std::mt19937_64 random_;
  const bool foreign_;
  int64_t scale_ = 1;
  TestFolder folder_;
  FakeDriver driver_;
  std::array<Group, kGroups> groups_;
  std::unique_ptr<Book> book_;
  std::vector<Loan> loans_;
  __int128 cpu_excess_ = 0;
  __int128 memory_excess_ = 0;
  bool faults_ = false;
  bool meddle_ = false;
  int64_t kill_after_ = 0;
  int kills_ = 0;
  int lent_ = 0;
  int owed_seen_ = 0;
  int foreign_seen_ = 0;
};

}  // namespace pocket::lease
