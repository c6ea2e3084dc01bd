// A loan and its return make no allocation and no call into the driver beyond what they must; what
// the book itself takes is printed.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "base/clock.h"
#include "lease/book.h"
#include "lease/test_folder.h"

namespace {
std::atomic<int64_t> allocations{0};
}

void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace pocket::lease {
namespace {

class NothingFile : public LimitFile {
 public:
  Result<Limit> read() override { return Limit{amount_, 100'000}; }
  Result<void> write(int64_t amount) override {
    amount_ = amount;
    return {};
  }
  Result<int64_t> spare(const Limit& now) override { return now.amount - 1000; }

 private:
  int64_t amount_ = 100'000;
};

class NothingDriver : public Driver {
 public:
  Result<std::unique_ptr<LimitFile>> open(Resource, const std::string&) override {
    return std::unique_ptr<LimitFile>(new NothingFile());
  }
};

TEST(LeaseCost, NoAllocation) {
  TestFolder folder;
  NothingDriver driver;
  auto ledger = Ledger::open(folder.file("ledger"));
  ASSERT_TRUE(ledger.ok()) << ledger.error().message;
  auto opened = Book::open(std::move(*ledger), driver);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  Book& book = **opened;
  auto borrower = book.add_account(Resource::kCpu, "service");
  ASSERT_TRUE(borrower.ok());
  constexpr size_t kLenders = 1000;
  std::vector<Ask> asks(kLenders);
  for (size_t i = 0; i < kLenders; ++i) {
    auto lender = book.add_account(Resource::kCpu, "client" + std::to_string(i));
    ASSERT_TRUE(lender.ok());
    asks[i].lender = *lender;
    asks[i].wanted = 50'000;
  }
  std::vector<Loan> loans(kLenders);
  const auto batch = [&] {
    book.lend_many(*borrower, asks);
    for (size_t i = 0; i < kLenders; ++i) loans[i] = std::move(*asks[i].loan);
    ASSERT_TRUE(book.give_back_many(loans).ok());
  };
  batch();  // its vectors grow once

  const int64_t before = allocations;
  std::vector<uint64_t> times(21);
  constexpr int kCalls = 2000;
  const int64_t times_made = allocations;
  for (uint64_t& time : times) {
    const uint64_t start = monotonic_ns();
    for (int i = 0; i < kCalls; ++i) {
      auto loan = book.lend(asks[static_cast<size_t>(i) % kLenders].lender, *borrower, 50'000);
      ASSERT_EQ(loan->granted(), 50'000);
    }
    time = (monotonic_ns() - start) / kCalls;
  }
  batch();
  EXPECT_EQ(allocations - before, times_made - before);
  std::ranges::sort(times);
  std::cout << "lend and give back, without a driver: " << times[times.size() / 2]
            << " ns (median of " << times.size() << " rounds of " << kCalls << ", " << times.front()
            << " to " << times.back() << ")\n";
}

}  // namespace
}  // namespace pocket::lease
