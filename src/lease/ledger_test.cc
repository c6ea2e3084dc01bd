// The ledger's bytes are a contract between services of different age, and a damaged one must
// never hurt: offsets, golden bytes, and what opening does with every kind of rubbish.
#include "lease/ledger.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "lease/driver.h"
#include "lease/ledger_rules.h"
#include "lease/test_folder.h"

namespace pocket::lease {
namespace {

template <typename T>
std::string hex(const T& value, size_t bytes = sizeof(T)) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    const auto byte = reinterpret_cast<const unsigned char*>(&value)[i];
    if (i != 0 && i % 8 == 0) text += ' ';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

TEST(LedgerLayout, Offsets) {
  EXPECT_EQ(offsetof(LedgerHeader, magic), 0u);
  EXPECT_EQ(offsetof(LedgerHeader, version), 8u);
  EXPECT_EQ(offsetof(LedgerHeader, account_capacity), 12u);
  EXPECT_EQ(offsetof(LedgerHeader, loan_capacity), 16u);
  EXPECT_EQ(offsetof(LedgerHeader, accounts_used), 20u);
  EXPECT_EQ(offsetof(LedgerHeader, loans_used), 24u);
  EXPECT_EQ(offsetof(LedgerHeader, file_bytes), 32u);
  EXPECT_EQ(offsetof(JournalRecord, state), 0u);
  EXPECT_EQ(offsetof(JournalRecord, account), 4u);
  EXPECT_EQ(offsetof(JournalRecord, amount), 8u);
  EXPECT_EQ(offsetof(JournalRecord, period_us), 16u);
  EXPECT_EQ(offsetof(JournalRecord, foreign_changes), 24u);
  EXPECT_EQ(offsetof(AccountRecord, state), 0u);
  EXPECT_EQ(offsetof(AccountRecord, resource), 4u);
  EXPECT_EQ(offsetof(AccountRecord, base), 8u);
  EXPECT_EQ(offsetof(AccountRecord, period_us), 16u);
  EXPECT_EQ(offsetof(AccountRecord, value), 24u);
  EXPECT_EQ(offsetof(AccountRecord, next), 32u);
  EXPECT_EQ(offsetof(AccountRecord, lent), 40u);
  EXPECT_EQ(offsetof(AccountRecord, borrowed), 48u);
  EXPECT_EQ(offsetof(AccountRecord, foreign_changes), 56u);
  EXPECT_EQ(offsetof(AccountRecord, name_bytes), 64u);
  EXPECT_EQ(offsetof(AccountRecord, name), 68u);
  EXPECT_EQ(offsetof(LoanRecord, state), 0u);
  EXPECT_EQ(offsetof(LoanRecord, flags), 4u);
  EXPECT_EQ(offsetof(LoanRecord, lender), 8u);
  EXPECT_EQ(offsetof(LoanRecord, borrower), 12u);
  EXPECT_EQ(offsetof(LoanRecord, lender_amount), 16u);
  EXPECT_EQ(offsetof(LoanRecord, borrower_amount), 24u);
  EXPECT_EQ(kAccountsOffset, 128u);
  EXPECT_EQ(loans_offset(4096), 128u + 4096 * 768);
  EXPECT_EQ(ledger_bytes(2, 3), 128u + 2 * 768 + 3 * 32);
}

TEST(LedgerLayout, GoldenBytes) {
  const LedgerHeader header{kLedgerMagic, 1, 4096, 16384, 2, 1, 0, ledger_bytes(4096, 16384), {}};
  EXPECT_EQ(hex(header),
            "504b4c4544474552 0100000000100000 0040000002000000 0100000000000000 "
            "8000380000000000 0000000000000000 0000000000000000 0000000000000000");
  const JournalRecord journal{JournalState::kNewBase, 3, 65536, 100'000, 2, {}};
  EXPECT_EQ(hex(journal),
            "0100000003000000 0000010000000000 a086010000000000 0200000000000000 "
            "0000000000000000 0000000000000000 0000000000000000 0000000000000000");
  AccountRecord account{AccountState::kOpen, 1, 130'000, 100'000, 26'000, 26'000, 104'000, 0, 7, 2,
                        {'/', 'a'}};
  EXPECT_EQ(hex(account, 72),
            "0100000001000000 d0fb010000000000 a086010000000000 9065000000000000 "
            "9065000000000000 4096010000000000 0000000000000000 0700000000000000 "
            "020000002f610000");
  const LoanRecord loan{LoanState::kGrowing, 0, 0, 1, 104'000, 52'000};
  EXPECT_EQ(hex(loan), "0300000000000000 0000000001000000 4096010000000000 20cb000000000000");
}

class LedgerFile : public testing::Test {
 protected:
  Result<Ledger> open() { return Ledger::open(path_, {4, 8, {}}); }

  /// A ledger in the middle of the example of the format page.
  void make_example() {
    auto ledger = open();
    ASSERT_TRUE(ledger.ok()) << ledger.error().message;
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(ledger->add_account_record().ok());
    ASSERT_TRUE(ledger->add_loan_record().ok());
    ledger->accounts()[0] = {
        AccountState::kOpen, 1, 130'000, 100'000, 26'000, 26'000, 104'000, 0, 0, 2, {'/', 'a'}};
    ledger->accounts()[1] = {AccountState::kOpen, 1, 50'000, 50'000, 50'000, 102'000, 0, 0, 0, 2,
                             {'/', 'b'}};
    ledger->loans()[0] = {LoanState::kGrowing, 0, 0, 1, 104'000, 52'000};
  }
  std::string bytes() {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_bytes(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  /// Opening puts the file aside and begins a new one; the old bytes are kept.
  void expect_put_aside(const std::string& content, const char* why) {
    set_bytes(content);
    auto ledger = open();
    ASSERT_TRUE(ledger.ok()) << ledger.error().message;
    ASSERT_EQ(ledger->notes().size(), 1u) << why;
    EXPECT_NE(ledger->notes()[0].find(why), std::string::npos) << ledger->notes()[0];
    EXPECT_TRUE(ledger->accounts().empty());
    std::ifstream in(path_ + ".damaged", std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), content);
  }

  TestFolder folder_;
  std::string path_ = folder_.file("ledger");
};

TEST_F(LedgerFile, KeepsItsBytes) {
  make_example();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  auto ledger = open();
  ASSERT_TRUE(ledger.ok()) << ledger.error().message;
  EXPECT_TRUE(ledger->notes().empty());
  ASSERT_EQ(ledger->accounts().size(), 2u);
  EXPECT_EQ(name_of(ledger->accounts()[1]), "/b");
  EXPECT_EQ(ledger->loans()[0].borrower_amount, 52'000);
}

TEST_F(LedgerFile, OneServiceAtATime) {
  auto first = open();
  ASSERT_TRUE(first.ok());
  auto second = open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, POCKET_ALREADY_EXISTS);
  first = Error{POCKET_CANCELLED, ""};  // closes it
  EXPECT_TRUE(open().ok());
}

TEST_F(LedgerFile, Full) {
  auto ledger = open();
  ASSERT_TRUE(ledger.ok());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ledger->add_account_record().ok());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(ledger->add_loan_record().ok());
  EXPECT_EQ(ledger->add_account_record().error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_EQ(ledger->add_loan_record().error().code, POCKET_RESOURCE_EXHAUSTED);
}

TEST_F(LedgerFile, CapacityChangesWhileEmpty) {
  ASSERT_TRUE(open().ok());
  auto larger = Ledger::open(path_, {1000, 9, {}});
  ASSERT_TRUE(larger.ok());
  EXPECT_EQ(larger->header().account_capacity, 1000u);
  larger = Error{POCKET_CANCELLED, ""};
  make_example();
  larger = Ledger::open(path_, {1000, 9, {}});
  ASSERT_TRUE(larger.ok());
  EXPECT_EQ(larger->header().account_capacity, 4u);
}

TEST_F(LedgerFile, NotALedger) {
  std::filesystem::create_directory(folder_.file("folder"));
  EXPECT_FALSE(Ledger::open(folder_.file("folder")).ok());
  EXPECT_EQ(Ledger::open(folder_.file("no/ledger")).error().code, POCKET_NOT_FOUND);
  std::filesystem::create_symlink(path_, folder_.file("link"));
  EXPECT_FALSE(Ledger::open(folder_.file("link")).ok());
  ASSERT_EQ(::mkfifo(folder_.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(Ledger::open(folder_.file("pipe")).error().code, POCKET_INVALID_ARGUMENT);
}

TEST_F(LedgerFile, AnotherVersionIsLeftAlone) {
  make_example();
  std::string content = bytes();
  content[8] = 2;
  set_bytes(content);
  auto ledger = open();
  ASSERT_FALSE(ledger.ok());
  EXPECT_EQ(ledger.error().code, POCKET_VERSION_MISMATCH);
  EXPECT_EQ(bytes(), content);
}

TEST_F(LedgerFile, UnfinishedCreationBeginsAgain) {
  set_bytes(std::string(ledger_bytes(4, 8), '\0'));
  auto ledger = open();
  ASSERT_TRUE(ledger.ok());
  EXPECT_TRUE(ledger->notes().empty());
}

TEST_F(LedgerFile, DamageIsPutAside) {
  make_example();
  const std::string good = bytes();
  const auto changed = [&](size_t offset, auto number) {
    std::string content = good;
    std::memcpy(content.data() + offset, &number, sizeof number);
    return content;
  };
  const size_t second = kAccountsOffset + sizeof(AccountRecord);
  const size_t loan = loans_offset(4);
  expect_put_aside("rubbish", "truncated");
  expect_put_aside(std::string(5000, 'x'), "does not begin like a ledger");
  expect_put_aside(good.substr(0, good.size() - 1), "size does not fit");
  expect_put_aside(good + "x", "size does not fit");
  expect_put_aside(changed(12, UINT32_MAX), "capacity is impossible");
  expect_put_aside(changed(20, uint32_t{5}), "more records than it has room for");
  expect_put_aside(changed(64, uint32_t{9}), "journal 0 has an impossible state");
  expect_put_aside(changed(64, (uint64_t{77} << 32) | 1), "journal 0 has an impossible account");
  expect_put_aside(changed(kAccountsOffset, uint32_t{3}), "account 0 has an impossible state");
  expect_put_aside(changed(second + 4, uint32_t{3}), "account 1 has an impossible resource");
  expect_put_aside(changed(second + 16, int64_t{0}), "account 1 has an impossible period");
  expect_put_aside(changed(second + 24, INT64_MAX), "account 1 has an impossible amount");
  expect_put_aside(changed(second + 64, uint32_t{701}), "account 1 has an impossible name");
  expect_put_aside(changed(loan, uint32_t{8}), "loan 0 has an impossible state");
  expect_put_aside(changed(loan + 8, uint32_t{4}), "loan 0 has an impossible account");
  expect_put_aside(changed(loan + 12, uint32_t{0}), "loan 0 has an impossible account");
  expect_put_aside(changed(loan + 16, int64_t{-1}), "loan 0 has an impossible amount");
  expect_put_aside(changed(loan + 16, int64_t{103'999}), "account 0 has an impossible sum");
  expect_put_aside(changed(second + 8, int64_t{49'999}), "account 1 has an impossible sum");
}

/// Whatever bytes a ledger has, opening ends in a valid ledger or an error.
TEST_F(LedgerFile, RandomDamage) {
  make_example();
  const std::string good = bytes();
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  int survived = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string content = good;
    const size_t flips = 1 + random() % 4;
    for (size_t flip = 0; flip < flips; ++flip) {
      content[random() % content.size()] = static_cast<char>(random());
    }
    if (random() % 8 == 0) content.resize(random() % content.size());
    set_bytes(content);
    auto ledger = open();
    if (!ledger.ok()) {
      ASSERT_EQ(ledger.error().code, POCKET_VERSION_MISMATCH) << ledger.error().message;
      continue;
    }
    ASSERT_TRUE(check_fields(*ledger).ok());
    ASSERT_TRUE(check_sums(*ledger).ok());
    survived += ledger->notes().empty();
  }
  EXPECT_GT(survived, 50);  // a changed byte of a name does not matter
}

TEST_F(LedgerFile, JournalIsDoneAgain) {
  make_example();
  {
    auto ledger = open();
    ASSERT_TRUE(ledger.ok());
    ledger->journal() = {JournalState::kNewBase, 0, 90'000, 25'000, 3, {}};
    ledger->accounts()[0].base = 90'000;  // it was killed in the middle
  }
  auto ledger = open();
  ASSERT_TRUE(ledger.ok());
  EXPECT_TRUE(ledger->notes().empty()) << ledger->notes()[0];
  const AccountRecord& account = ledger->accounts()[0];
  EXPECT_EQ(account.base, 90'000);
  EXPECT_EQ(account.value, 90'000);
  EXPECT_EQ(account.next, 90'000);
  EXPECT_EQ(account.period_us, 25'000);
  EXPECT_EQ(account.lent, 0);
  EXPECT_EQ(account.foreign_changes, 3u);
  EXPECT_EQ(ledger->loans()[0].lender_amount, 0);
  EXPECT_EQ(ledger->loans()[0].state, LoanState::kGrowing);
  EXPECT_EQ(ledger->journal().state, JournalState::kEmpty);
}

}  // namespace
}  // namespace pocket::lease
