// The real thing: a service over real files is killed with SIGKILL at random moments, several
// hundred times; the next one must find every limit again, exactly.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <random>

#include "base/unique_fd.h"
#include "lease/book.h"
#include "lease/test_folder.h"

namespace pocket::lease {
namespace {

constexpr size_t kDigits = 20;  // of fixed width, so that a write is one pwrite of the same bytes
constexpr int kRounds = 400;
constexpr size_t kLimits = 8;
constexpr int64_t kPeriod[kLimits] = {100'000,   100'000, 50'000,  10'000,
                                      1'000'000, 25'000,  100'000, 50'000};

class RealFile : public LimitFile {
 public:
  RealFile(int fd, int64_t period_us) : file_(fd), period_us_(period_us) {}
  Result<Limit> read() override {
    char text[kDigits + 1] = {};
    if (::pread(file_.get(), text, kDigits, 0) != kDigits) return errno_error("pread", errno);
    return Limit{std::stoll(text), period_us_};
  }
  Result<void> write(int64_t amount) override {
    char text[kDigits + 1];
    std::snprintf(text, sizeof text, "%020lld", static_cast<long long>(amount));
    if (::pwrite(file_.get(), text, kDigits, 0) != kDigits) return errno_error("pwrite", errno);
    return {};
  }
  Result<int64_t> spare(const Limit& now) override { return now.amount - 1000; }

 private:
  UniqueFd file_;
  int64_t period_us_;
};

class RealDriver : public Driver {
 public:
  explicit RealDriver(const TestFolder& folder) : folder_(folder) {}
  Result<std::unique_ptr<LimitFile>> open(Resource, const std::string& name) override {
    const int fd = ::open(folder_.file(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return errno_error("open '" + name + "'", errno);
    return std::unique_ptr<LimitFile>(new RealFile(fd, kPeriod[name.back() - '0']));
  }

 private:
  const TestFolder& folder_;
};

std::string limit_name(size_t i) { return "limit" + std::to_string(i); }

Result<std::unique_ptr<Book>> open_book(const TestFolder& folder, Driver& driver) {
  auto ledger = Ledger::open(folder.file("ledger"), {kLimits, 64, {}});
  if (!ledger.ok()) return std::move(ledger).error();
  if (!ledger->notes().empty()) return Error{POCKET_DATA_LOSS, ledger->notes()[0]};
  return Book::open(std::move(*ledger), driver);
}

/// Recovers, says that it is ready, then lends and returns until it is killed.
[[noreturn]] void serve(const TestFolder& folder, int ready, uint64_t seed) {
  RealDriver driver(folder);
  auto book = open_book(folder, driver);
  if (!book.ok()) ::_exit(1);
  std::mt19937_64 random(seed);
  AccountId accounts[kLimits];
  for (size_t i = 0; i < kLimits; ++i) {
    auto added = (*book)->add_account(Resource::kCpu, limit_name(i));
    if (!added.ok()) ::_exit(2);
    accounts[i] = *added;
  }
  if (::write(ready, "r", 1) != 1) ::_exit(3);
  std::vector<Loan> loans;
  for (;;) {
    const size_t lender = random() % kLimits;
    const size_t borrower = random() % kLimits;
    if (lender == borrower) continue;
    if (loans.size() < 40 && random() % 2 == 0) {
      auto loan = (*book)->lend(accounts[lender], accounts[borrower],
                                static_cast<int64_t>(random() % 30'000));
      if (!loan.ok()) ::_exit(4);
      if (loan->held()) loans.push_back(std::move(*loan));
    } else if (random() % 8 == 0) {
      if (!(*book)->give_back_many(loans).ok()) ::_exit(5);
      loans.clear();
    } else if (!loans.empty()) {
      if (!loans.back().give_back().ok()) ::_exit(6);
      loans.pop_back();
    }
  }
}

TEST(LeaseKill, EveryLimitComesHome) {
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  TestFolder folder;
  RealDriver driver(folder);
  int64_t truth[kLimits];
  std::unique_ptr<LimitFile> files[kLimits];
  for (size_t i = 0; i < kLimits; ++i) {
    truth[i] = 40'000 + static_cast<int64_t>(random() % 100'000);
    auto file = driver.open(Resource::kCpu, limit_name(i));
    ASSERT_TRUE(file.ok());
    files[i] = std::move(*file);
    ASSERT_TRUE(files[i]->write(truth[i]).ok());
  }
  int repaired = 0;
  int interrupted = 0;
  int foreign = 0;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd mine(ends[0]);
    UniqueFd theirs(ends[1]);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) serve(folder, theirs.get(), random());
    theirs.reset();
    if (round % 4 != 0) {  // otherwise it may be killed while it recovers from the round before
      char byte = 0;
      ASSERT_EQ(::read(mine.get(), &byte, 1), 1);
    }
    // The random moment: this wait is the test, not a wait for something.
    const timespec pause{0, static_cast<long>(random() % 2'000'000)};
    ::nanosleep(&pause, nullptr);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the service ended by itself: " << WEXITSTATUS(status);
    if (round % 5 == 0) {
      const size_t i = random() % kLimits;
      truth[i] = 200'000 + static_cast<int64_t>(random() % 1'000'000'000);
      ASSERT_TRUE(files[i]->write(truth[i]).ok());
      ++foreign;
    }
    if (round % 4 == 3) continue;  // leave it to the next service

    auto book = open_book(folder, driver);
    ASSERT_TRUE(book.ok()) << book.error().message;
    repaired += !(*book)->repairs().empty();
    for (const std::string& line : (*book)->repairs()) {
      interrupted += line.find("interrupted") != std::string::npos;
    }
    EXPECT_EQ((*book)->owed(), 0u);
    for (size_t i = 0; i < kLimits; ++i) {
      auto now = files[i]->read();
      ASSERT_TRUE(now.ok());
      ASSERT_EQ(now->amount, truth[i]) << limit_name(i) << " in round " << round;
    }
  }
  std::cout << kRounds << " kills, " << repaired << " repairs, " << interrupted
            << " in the middle of a change, " << foreign << " changes by others\n";
  EXPECT_GT(repaired, kRounds / 4);
  EXPECT_GT(interrupted, 0);
}

}  // namespace
}  // namespace pocket::lease
