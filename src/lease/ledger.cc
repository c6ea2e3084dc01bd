#include "lease/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "lease/ledger_rules.h"

namespace pocket::lease {
namespace {

constexpr uint32_t kMostAccounts = 1 << 20;
constexpr uint32_t kMostLoans = 1 << 22;
constexpr size_t kReserveStep = 64 << 10;
constexpr int kOpenTries = 8;

std::string ledger_name(const std::string& path) { return "ledger '" + path + "'"; }

/// Opens and locks the file that has the name now; a file that lost its name meanwhile (renamed by
/// the service that found it damaged) is tried again.
Result<UniqueFd> open_locked(const std::string& path) {
  for (int i = 0; i < kOpenTries; ++i) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) return errno_error("opening " + ledger_name(path), errno);
    struct stat mine {};
    struct stat named {};
    if (::fstat(file.get(), &mine) != 0) return errno_error(ledger_name(path), errno);
    if (!S_ISREG(mine.st_mode)) {
      return Error{POCKET_INVALID_ARGUMENT, ledger_name(path) + " is not a regular file"};
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return errno_error("locking " + ledger_name(path), errno);
      return Error{POCKET_ALREADY_EXISTS, ledger_name(path) +
                                              " is used by another service: stop that one, or give"
                                              " this one a ledger of its own"};
    }
    if (::stat(path.c_str(), &named) == 0 && named.st_dev == mine.st_dev &&
        named.st_ino == mine.st_ino) {
      return file;
    }
  }
  return Error{POCKET_BUSY, ledger_name(path) + " keeps being replaced"};
}

/// Nothing, or why the header can't be that of a ledger of `bytes` bytes.
const char* wrong_header(const LedgerHeader& header, size_t bytes) {
  if (header.magic != kLedgerMagic) return "it does not begin like a ledger";
  if (header.account_capacity > kMostAccounts || header.loan_capacity > kMostLoans) {
    return "its capacity is impossible";
  }
  if (header.accounts_used > header.account_capacity || header.loans_used > header.loan_capacity) {
    return "it claims more records than it has room for";
  }
  if (header.file_bytes != bytes ||
      header.file_bytes != ledger_bytes(header.account_capacity, header.loan_capacity)) {
    return "its size does not fit its capacity";
  }
  return nullptr;
}

Error damage(const char* why) { return Error{POCKET_DATA_LOSS, why}; }

}  // namespace

Result<Ledger> Ledger::open(const std::string& path, const LedgerOptions& options) {
  Ledger ledger;
  ledger.path_ = path;
  ledger.hook_ = options.hook;
  for (int i = 0; i < kOpenTries; ++i) {
    POCKET_ASSIGN_OR_RETURN(ledger.file_, open_locked(path));
    struct stat status {};
    if (::fstat(ledger.file_.get(), &status) != 0) return errno_error(ledger_name(path), errno);
    auto mapped = ledger.map_existing(static_cast<size_t>(status.st_size));
    const bool empty = mapped.ok() && std::ranges::all_of(ledger.accounts(), [](const auto& a) {
                         return a.state == AccountState::kFree;
                       });
    if (empty && (ledger.header().account_capacity != options.accounts ||
                  ledger.header().loan_capacity != options.loans)) {
      mapped = Error{POCKET_NOT_FOUND, ""};
    }
    if (mapped.ok()) return ledger;
    if (mapped.error().code == POCKET_NOT_FOUND) {
      POCKET_RETURN_IF_ERROR(ledger.create(options));
      return ledger;
    }
    if (mapped.error().code != POCKET_DATA_LOSS) return std::move(mapped).error();
    const std::string aside = path + ".damaged";
    ledger.mapping_ = Mapping();
    if (::rename(path.c_str(), aside.c_str()) != 0) {
      return errno_error("renaming the damaged " + ledger_name(path) + " to '" + aside + "'",
                         errno);
    }
    ledger.notes_.push_back(ledger_name(path) + " was damaged (" + mapped.error().message +
                            "): kept as '" + aside +
                            "', a new one begins; limits that it named were not touched");
  }
  return Error{POCKET_BUSY, ledger_name(path) + " keeps being replaced by damaged ones"};
}

/// NOT_FOUND: there is no ledger yet. DATA_LOSS: there is a damaged one.
Result<void> Ledger::map_existing(size_t bytes) {
  if (bytes == 0) return Error{POCKET_NOT_FOUND, ""};
  LedgerHeader header{};
  if (bytes < kAccountsOffset) return damage("it is truncated");
  const ssize_t got = ::pread(file_.get(), &header, sizeof header, 0);
  if (got != sizeof header) {
    return errno_error("reading " + ledger_name(path_), got < 0 ? errno : EIO);
  }
  if (header.magic == 0 && header.version == 0) return Error{POCKET_NOT_FOUND, ""};
  if (header.magic == kLedgerMagic && header.version != kLedgerVersion) {
    return Error{POCKET_VERSION_MISMATCH,
                 ledger_name(path_) + " has version " + std::to_string(header.version) +
                     ", this program writes version " + std::to_string(kLedgerVersion) +
                     ": start the version that wrote it once, so that it returns every limit, or"
                     " delete the file"};
  }
  if (const char* why = wrong_header(header, bytes)) return damage(why);
  POCKET_ASSIGN_OR_RETURN(mapping_, Mapping::map(file_.get(), bytes, MapAccess::kReadWrite));
  accounts_reserved_ = kAccountsOffset + accounts().size_bytes();
  loans_reserved_ = loans_offset(header.account_capacity) + loans().size_bytes();
  POCKET_RETURN_IF_ERROR(check_fields(*this));
  apply_journal(*this);
  return check_sums(*this);
}

Result<void> Ledger::create(const LedgerOptions& options) {
  if (options.accounts == 0 || options.loans == 0 || options.accounts > kMostAccounts ||
      options.loans > kMostLoans) {
    return Error{POCKET_INVALID_ARGUMENT, "capacity of " + ledger_name(path_) + " is impossible"};
  }
  const size_t bytes = ledger_bytes(options.accounts, options.loans);
  mapping_ = Mapping();
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0) {
    return errno_error("creating " + ledger_name(path_), errno);
  }
  size_t header_reserved = 0;
  POCKET_RETURN_IF_ERROR(reserve(kAccountsOffset, header_reserved));
  POCKET_ASSIGN_OR_RETURN(mapping_, Mapping::map(file_.get(), bytes, MapAccess::kReadWrite));
  accounts_reserved_ = kAccountsOffset;
  loans_reserved_ = loans_offset(options.accounts);
  LedgerHeader& made = header();
  put(made.account_capacity, options.accounts);
  put(made.loan_capacity, options.loans);
  put(made.file_bytes, bytes);
  put(made.version, kLedgerVersion);
  put(made.magic, kLedgerMagic);
  return {};
}

/// Sets memory aside for the bytes below `end`, so that storing there cannot fail.
Result<void> Ledger::reserve(size_t end, size_t& reserved) {
  if (end <= reserved) return {};
  const size_t target = std::max(end, reserved + kReserveStep);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return errno_error(ledger_name(path_), errno);
  const size_t limited = std::min(target, static_cast<size_t>(status.st_size));
  int failed = EINTR;
  while (failed == EINTR) {
    failed = ::posix_fallocate(file_.get(), static_cast<off_t>(reserved),
                               static_cast<off_t>(limited - reserved));
  }
  if (failed != 0) return errno_error("reserving memory for " + ledger_name(path_), failed);
  reserved = limited;
  return {};
}

void Ledger::remove_if_empty() const {
  const bool empty =
      std::ranges::all_of(accounts(),
                          [](const auto& a) { return a.state == AccountState::kFree; }) &&
      std::ranges::all_of(loans(), [](const auto& l) { return l.state == LoanState::kFree; });
  // Under the lock: whoever opens it now finds that the file has lost its name, and makes a new
  // one.
  if (empty) ::unlink(path_.c_str());
}

Result<uint32_t> Ledger::add_account_record() {
  const uint32_t index = header().accounts_used;
  if (index >= header().account_capacity) {
    return Error{POCKET_RESOURCE_EXHAUSTED, ledger_name(path_) + " is full: it has room for " +
                                                std::to_string(index) + " accounts"};
  }
  POCKET_RETURN_IF_ERROR(
      reserve(kAccountsOffset + (size_t{index} + 1) * sizeof(AccountRecord), accounts_reserved_));
  put(header().accounts_used, index + 1);
  return index;
}

Result<uint32_t> Ledger::add_loan_record() {
  const uint32_t index = header().loans_used;
  if (index >= header().loan_capacity) {
    return Error{POCKET_RESOURCE_EXHAUSTED, ledger_name(path_) + " is full: it has room for " +
                                                std::to_string(index) + " loans"};
  }
  POCKET_RETURN_IF_ERROR(
      reserve(loans_offset(header().account_capacity) + (size_t{index} + 1) * sizeof(LoanRecord),
              loans_reserved_));
  put(header().loans_used, index + 1);
  return index;
}

}  // namespace pocket::lease
