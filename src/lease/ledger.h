// The file that remembers which limits were changed, so that they come home whatever happens
// (docs/format-ledger.md).
#pragma once

#include <cassert>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "lease/ledger_layout.h"

namespace pocket::lease {

/// Called before each store into a ledger, so that a test can stop the program there; it may throw.
struct StoreHook {
  void (*call)(void* context) = nullptr;
  void* context = nullptr;
};

struct LedgerOptions {
  uint32_t accounts = 4096;  // capacities of a new file; an old one keeps its own until it is empty
  uint32_t loans = 16384;
  StoreHook hook;  // for tests
};

/// An open, locked and valid ledger; move-only. Closing it leaves the file. One thread, and only
/// the book writes. Records never move while it is open.
class Ledger {
 public:
  /// Opens or creates `path` (mode 0600, no symbolic link). ALREADY_EXISTS: another service uses
  /// it. VERSION_MISMATCH: written by another version, left as it is. A damaged file is renamed to
  /// `path`.damaged, a new one begins and notes() says so.
  static Result<Ledger> open(const std::string& path, const LedgerOptions& options = {});

  /// What open() had to do, one sentence each; normally empty.
  const std::vector<std::string>& notes() const { return notes_; }

  LedgerHeader& header() const { return *at<LedgerHeader>(0); }
  JournalRecord& journal() const { return *at<JournalRecord>(sizeof(LedgerHeader)); }
  /// The records that were ever used, free ones among them.
  std::span<AccountRecord> accounts() const {
    return {at<AccountRecord>(kAccountsOffset), header().accounts_used};
  }
  std::span<LoanRecord> loans() const {
    return {at<LoanRecord>(loans_offset(header().account_capacity)), header().loans_used};
  }

  /// Stores one word where a kill leaves either the old or the new number, never before the stores
  /// that precede it in the program.
  template <typename T>
  void put(T& field, std::type_identity_t<T> value) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    if (hook_.call != nullptr) hook_.call(hook_.context);
    // Release pairs with nobody in this process: the reader is the recovery after a kill, and the
    // point is that the compiler must not move the stores about.
    __atomic_store(&field, &value, __ATOMIC_RELEASE);
  }

  /// Deletes the file where it names no limit and no loan any more: a service that has ended in
  /// order leaves nothing. Nothing may be stored afterwards.
  void remove_if_empty() const;

  /// One more account or loan record below `used`, free; its index. RESOURCE_EXHAUSTED: the ledger
  /// or the file system is full.
  Result<uint32_t> add_account_record();
  Result<uint32_t> add_loan_record();

 private:
  template <typename T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(mapping_.data() + offset);
  }
  Result<void> create(const LedgerOptions& options);
  Result<void> map_existing(size_t bytes);
  Result<void> reserve(size_t end, size_t& reserved);

  std::string path_;
  UniqueFd file_;
  Mapping mapping_;
  StoreHook hook_;
  size_t accounts_reserved_ = 0;  // file offsets up to which memory is set aside
  size_t loans_reserved_ = 0;
  std::vector<std::string> notes_;
};

inline std::string_view name_of(const AccountRecord& account) {
  return {account.name, account.name_bytes};
}

}  // namespace pocket::lease
