// Loans between real groups of random limits and periods, made by a process that is killed at
// random moments: the sum is conserved at every step, and at the end each file holds its first
// value. Skipped where this process may make no groups. POCKET_LEASE_SEED repeats a run's choices.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <new>
#include <numeric>
#include <random>

#include "cgroup/host.h"
#include "daemon/cgroup_driver.h"
#include "lease/book.h"
#include "lease/test_folder.h"

namespace pocket::daemon {
namespace {

using cgroup::Controller;
using lease::AccountId;
using lease::Book;
using lease::Limit;
using lease::Loan;
using lease::Resource;

constexpr size_t kCpuGroups = 6;
constexpr size_t kGroups = kCpuGroups + 4;
constexpr int kCalmOperations = 4000;
constexpr int kKills = 150;
constexpr size_t kMostLoans = 25;

Resource resource_of(size_t group) {
  return group < kCpuGroups ? Resource::kCpu : Resource::kMemory;
}

/// Counted by the killed processes, in memory that outlives them.
struct Counters {
  std::atomic<int> operations{0};
  std::atomic<int> loans{0};
};

class Groups {
 public:
  explicit Groups(const cgroup::Host& host, std::mt19937_64& random) : driver_(host) {
    const std::string top = "pocket-lend-" + std::to_string(::getpid());
    auto parent = host.create(top);
    if (!parent.ok()) {
      why_not_ = parent.error().message;
      return;
    }
    groups_.push_back(std::move(*parent));
    for (size_t index = 0; index < kGroups; ++index) {
      auto group = host.create(top + "/" + std::to_string(index));
      if (!group.ok()) {
        why_not_ = group.error().message;
        return;
      }
      set_random_limit(*group, index, random);
      groups_.push_back(std::move(*group));
    }
  }
  ~Groups() {
    while (!groups_.empty()) groups_.pop_back();
  }

  const std::string& why_not() const { return why_not_; }
  const std::string& name(size_t index) const { return names_[index]; }
  const Limit& first(size_t index) const { return first_[index]; }
  CgroupDriver& driver() { return driver_; }

  Limit now(size_t index) {
    auto file = driver_.open(resource_of(index), names_[index]);
    auto limit = file.ok() ? (*file)->read() : Result<Limit>(file.error());
    EXPECT_TRUE(limit.ok()) << limit.error().message;
    return limit.ok() ? *limit : Limit{};
  }

 private:
  void set_random_limit(cgroup::OwnedGroup& group, size_t index, std::mt19937_64& random) {
    const auto between = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
    };
    if (resource_of(index) == Resource::kCpu) {
      constexpr std::array<int64_t, 6> kPeriods = {1'000,  10'000,  25'000,
                                                   70'007, 100'000, 1'000'000};
      const int64_t period = kPeriods[random() % kPeriods.size()];
      ASSERT_TRUE(group.cpu().set_cpu_limit({between(2'000, 2'000 + 3 * period), period}).ok());
    } else {
      ASSERT_TRUE(group.memory().set_memory_limit(between(2'000, 20'000) * 4096).ok());
    }
    names_.push_back(resource_of(index) == Resource::kCpu ? group.cpu().path()
                                                          : group.memory().path());
    first_.push_back(now(index));
  }

  CgroupDriver driver_;
  std::string why_not_;
  std::vector<cgroup::OwnedGroup> groups_;
  std::vector<std::string> names_;
  std::vector<Limit> first_;
};

/// A book over the groups, and random things done to it.
class Service {
 public:
  static Result<std::unique_ptr<Service>> open(Groups& groups, const std::string& ledger,
                                               uint64_t seed) {
    std::unique_ptr<Service> service(new Service(groups, seed));
    POCKET_ASSIGN_OR_RETURN(lease::Ledger file, lease::Ledger::open(ledger));
    if (!file.notes().empty()) return Error{POCKET_DATA_LOSS, file.notes()[0]};
    POCKET_ASSIGN_OR_RETURN(service->book_, Book::open(std::move(file), groups.driver()));
    for (size_t index = 0; index < kGroups; ++index) {
      POCKET_ASSIGN_OR_RETURN(service->accounts_[index],
                              service->book_->add_account(resource_of(index), groups.name(index)));
      service->scale_ =
          std::lcm(service->scale_, std::max<int64_t>(1, groups.first(index).period_us));
    }
    return service;
  }

  Book& book() { return *book_; }
  size_t loans() const { return loans_.size(); }

  /// One random operation. False: something was not as it must be; it is on standard error.
  bool step(Counters& counters) {
    const size_t kind = random_() % 10;
    const Resource resource = random_() % 2 == 0 ? Resource::kCpu : Resource::kMemory;
    if (kind < 5 && loans_.size() < kMostLoans) {
      auto loan = book_->lend(random_account(resource), random_account(resource), wanted(resource));
      // A group may have drawn itself.
      if (!loan.ok() && loan.error().code != POCKET_INVALID_ARGUMENT) {
        return complain(loan.error().message);
      }
      if (loan.ok() && loan->held()) keep(std::move(*loan), counters);
    } else if (kind == 5 && loans_.size() < kMostLoans) {
      std::array<lease::Ask, 3> asks;
      for (auto& ask : asks) ask = {random_account(resource), wanted(resource), Loan()};
      book_->lend_many(random_account(resource), asks);
      for (auto& ask : asks) {
        if (ask.loan.ok() && ask.loan->held()) keep(std::move(*ask.loan), counters);
      }
    } else if (kind == 6) {
      if (auto given = book_->give_back_many(loans_); !given.ok()) {
        return complain(given.error().message);
      }
      loans_.clear();
    } else if (!loans_.empty()) {
      std::swap(loans_[random_() % loans_.size()], loans_.back());
      if (auto given = loans_.back().give_back(); !given.ok()) {
        return complain(given.error().message);
      }
      loans_.pop_back();
    }
    counters.operations.fetch_add(1);
    return conserved();
  }

  void give_everything_back() {
    EXPECT_TRUE(book_->give_back_many(loans_).ok());
    loans_.clear();
  }

 private:
  Service(Groups& groups, uint64_t seed) : groups_(groups), random_(seed) {}

  static bool complain(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    return false;
  }
  AccountId random_account(Resource resource) {
    return resource == Resource::kCpu ? accounts_[random_() % kCpuGroups]
                                      : accounts_[kCpuGroups + random_() % (kGroups - kCpuGroups)];
  }
  int64_t wanted(Resource resource) {
    return static_cast<int64_t>(random_() % (resource == Resource::kCpu ? 60'000 : 40u << 20));
  }
  void keep(Loan loan, Counters& counters) {
    counters.loans.fetch_add(1);
    loans_.push_back(std::move(loan));
  }

  /// What the files hold together is exactly what they held at first, as everything is lent fully.
  bool conserved() {
    for (const Resource resource : {Resource::kCpu, Resource::kMemory}) {
      const lease::ConservedSum sum = book_->conserved_sum(resource);
      if (!sum.conserved || sum.in_transit != 0 || sum.unbacked != 0) {
        return complain("the book's sum is not conserved");
      }
      __int128 first = 0;
      __int128 files = 0;
      for (size_t index = 0; index < kGroups; ++index) {
        if (resource_of(index) != resource) continue;
        const Limit now = groups_.now(index);
        const int64_t scale = now.period_us == 0 ? 1 : scale_ / now.period_us;
        first += static_cast<__int128>(groups_.first(index).amount) * scale;
        files += static_cast<__int128>(now.amount) * scale;
        if (now.amount <= 0 || now.period_us != groups_.first(index).period_us) {
          return complain("a limit or its period is not what it can be");
        }
      }
      if (first != files) return complain("the files do not add up to what they held at first");
    }
    return true;
  }

  Groups& groups_;
  std::mt19937_64 random_;
  std::unique_ptr<Book> book_;
  std::array<AccountId, kGroups> accounts_;
  std::vector<Loan> loans_;
  int64_t scale_ = 1;
};

class LeaseGroups : public testing::Test {
 protected:
  LeaseGroups()
      : host_(cgroup::Host::detect()),
        seed_(std::getenv("POCKET_LEASE_SEED") != nullptr
                  ? std::strtoull(std::getenv("POCKET_LEASE_SEED"), nullptr, 10)
                  : std::random_device{}()),
        random_(seed_),
        groups_(host_, random_) {}
  void SetUp() override {
    if (!groups_.why_not().empty()) GTEST_SKIP() << groups_.why_not();
    std::cout << host_.describe() << "; POCKET_LEASE_SEED=" << seed_ << "\n";
  }
  void expect_first_values(const std::string& when) {
    for (size_t index = 0; index < kGroups; ++index) {
      EXPECT_EQ(groups_.now(index), groups_.first(index)) << groups_.name(index) << " " << when;
    }
  }

  const cgroup::Host host_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  Groups groups_;
  lease::TestFolder folder_;
};

TEST_F(LeaseGroups, SumIsConservedAtEveryStep) {
  Counters counters;
  auto service = Service::open(groups_, folder_.file("ledger"), random_());
  ASSERT_TRUE(service.ok()) << service.error().message;
  for (int index = 0; index < kCalmOperations; ++index) ASSERT_TRUE((*service)->step(counters));
  (*service)->give_everything_back();
  EXPECT_EQ((*service)->book().owed(), 0u);
  expect_first_values("at the end");
  std::cout << counters.operations << " operations, " << counters.loans << " loans\n";
  EXPECT_GT(counters.loans, kCalmOperations / 20);
}

TEST_F(LeaseGroups, EverythingComesHomeAfterKills) {
  void* memory =
      ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& counters = *new (memory) Counters();
  int repaired = 0;
  for (int round = 0; round < kKills && !HasFailure(); ++round) {
    const int before = counters.operations;
    const uint64_t seed = random_();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto service = Service::open(groups_, folder_.file("ledger"), seed);
      if (!service.ok()) ::_exit(2);
      while ((*service)->step(counters)) {
      }
      ::_exit(1);
    }
    // Every third may be killed while it takes the ledger over. The random pause is the test.
    int status = 0;
    while (round % 3 != 0 && counters.operations == before &&
           ::waitpid(child, &status, WNOHANG) == 0) {
      ::usleep(200);
    }
    ::usleep(static_cast<useconds_t>(random_() % 12'000));
    ::kill(child, SIGKILL);
    if (status == 0) ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the service ended by itself: " << WEXITSTATUS(status);
    if (round % 4 == 0) continue;  // the next one finds what this one left
    auto service = Service::open(groups_, folder_.file("ledger"), seed);
    ASSERT_TRUE(service.ok()) << service.error().message;
    repaired += !(*service)->book().repairs().empty();
    EXPECT_EQ((*service)->book().owed(), 0u);
    expect_first_values("after kill " + std::to_string(round));
  }
  auto last = Service::open(groups_, folder_.file("ledger"), 0);
  ASSERT_TRUE(last.ok()) << last.error().message;
  expect_first_values("at the end");
  std::cout << kKills << " kills, " << counters.operations << " operations, " << counters.loans
            << " loans, " << repaired << " repairs\n";
  EXPECT_GT(counters.operations, kKills);
  EXPECT_GT(repaired, kKills / 4);
  ::munmap(memory, sizeof(Counters));
}

}  // namespace
}  // namespace pocket::daemon
