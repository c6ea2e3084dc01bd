// The bytes of a ledger file (docs/format-ledger.md). Plain numbers at fixed offsets: nothing here
// needs a constructor or an address to be valid after kill -9.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pocket::lease {

constexpr uint64_t kLedgerMagic = 0x524547'44454c4b50;  // "PKLEDGER"
constexpr uint32_t kLedgerVersion = 1;
constexpr size_t kMaxAccountName = 700;

struct LedgerHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t account_capacity;
  uint32_t loan_capacity;
  uint32_t accounts_used;
  uint32_t loans_used;
  uint32_t reserved;
  uint64_t file_bytes;
  uint64_t reserved2[3];
};

enum class JournalState : uint32_t { kEmpty = 0, kNewBase = 1, kGone = 2 };

struct JournalRecord {
  JournalState state;
  uint32_t account;
  int64_t amount;
  int64_t period_us;
  uint64_t foreign_changes;
  uint64_t reserved[4];
};

enum class AccountState : uint32_t { kFree = 0, kOpen = 1, kGone = 2 };

struct AccountRecord {
  AccountState state;
  uint32_t resource;
  int64_t base;
  int64_t period_us;
  int64_t value;
  int64_t next;
  int64_t lent;
  int64_t borrowed;
  uint64_t foreign_changes;
  uint32_t name_bytes;
  char name[kMaxAccountName];
};

enum class LoanState : uint32_t {
  kFree = 0,
  kLending = 1,
  kInTransit = 2,
  kGrowing = 3,
  kOut = 4,
  kShrinking = 5,
  kReturning = 6,
  kEnded = 7,
};

constexpr uint32_t kLoanOwed = 1;
constexpr uint32_t kLoanHeld = 2;

struct LoanRecord {
  LoanState state;
  uint32_t flags;
  uint32_t lender;
  uint32_t borrower;
  int64_t lender_amount;
  int64_t borrower_amount;
};

static_assert(sizeof(LedgerHeader) == 64);
static_assert(sizeof(JournalRecord) == 64);
static_assert(sizeof(AccountRecord) == 768 && offsetof(AccountRecord, name_bytes) == 64);
static_assert(sizeof(LoanRecord) == 32);

constexpr size_t kAccountsOffset = sizeof(LedgerHeader) + sizeof(JournalRecord);

constexpr size_t loans_offset(uint32_t account_capacity) {
  return kAccountsOffset + size_t{account_capacity} * sizeof(AccountRecord);
}

constexpr size_t ledger_bytes(uint32_t account_capacity, uint32_t loan_capacity) {
  return loans_offset(account_capacity) + size_t{loan_capacity} * sizeof(LoanRecord);
}

/// Larger amounts are taken as unlimited; sums of a ledger's amounts stay far from overflow.
constexpr int64_t kMaxAmount = int64_t{1} << 60;
constexpr int64_t kMaxPeriod = int64_t{1} << 31;

}  // namespace pocket::lease
