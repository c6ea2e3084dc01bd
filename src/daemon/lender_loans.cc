// How the lender makes true what its clients' calls ask for, in as few writes as possible.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>

#include "base/clock.h"
#include "cgroup/label.h"
#include "daemon/lender_work.h"
#include "ipc/region.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;
using lease::Resource;

uint64_t thread_cpu_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * kNanosecondsPerSecond +
         static_cast<uint64_t>(used.tv_nsec);
}

}  // namespace

void Lender::Work::acquire(Runner& runner, Side& side) {
  if (side.pool == nullptr || side.holds) return;
  side.holds = true;
  if (side.pool->users++ == 0) mark(runner, *side.pool);
}

void Lender::Work::release(Runner& runner, Side& side) {
  if (side.pool == nullptr || !side.holds) return;
  side.holds = false;
  if (--side.pool->users == 0) mark(runner, *side.pool);
}

void Lender::Work::mark(Runner& runner, Pool& pool) {
  pool.tried = false;
  if (pool.changed) return;
  pool.changed = true;
  runner.changed.push_back(&pool);
}

void Lender::Work::settle(Runner& runner) {
  if (!runner.changed.empty()) {
    return_unused(runner);
    lend_wanted(runner, Resource::kMemory);
    lend_wanted(runner, Resource::kCpu);
    for (Pool* pool : runner.changed) pool->changed = false;
    runner.changed.clear();
    tell_threads(runner);
    for (Client* client : runner.handled) {
      (void)set_wants(*client);
      tell_lent(*client);
    }
    if (book_->owed() > 0) retry_ns_ = std::min(retry_ns_, monotonic_ns());
  }
  runner.handled.clear();
  answer_asking(runner);
}

void Lender::Work::return_unused(Runner& runner) {
  returning_.clear();
  for (Pool* pool : runner.changed) {
    if (pool->users > 0 || !pool->loan.held()) continue;
    count_borrowed(runner, *pool);
    returning_.push_back(std::move(pool->loan));
  }
  if (returning_.empty()) return;
  const uint64_t start_ns = monotonic_ns();
  if (auto returned = book_->give_back_many(returning_); !returned.ok()) {
    spdlog::warn("a loan is returned later: {}", returned.error().message);
  }
  return_times_.add((monotonic_ns() - start_ns) / returning_.size());
  runner.returns += returning_.size();
  returning_.clear();
}

void Lender::Work::lend_wanted(Runner& runner, Resource resource) {
  const auto& borrower = resource == Resource::kCpu ? runner.cpu : runner.memory;
  asks_.clear();
  asked_pools_.clear();
  for (Pool* pool : runner.changed) {
    if (pool->resource != resource || pool->users == 0 || pool->tried || pool->loan.held())
      continue;
    pool->tried = true;
    auto base = book_->base(pool->lender);
    if (base.ok()) pool->period_us = base->period_us;
    const lease::Wanted wanted = base.ok() ? lease::wanted(pool->policy, resource, *base)
                                           : lease::Wanted{0, "the client's group is gone"};
    if (wanted.amount == 0) {
      pool->refused += 1;
      pool->note = wanted.reason;
      continue;
    }
    asks_.push_back({pool->lender, wanted.amount, lease::Loan()});
    asked_pools_.push_back(pool);
  }
  if (asks_.empty()) return;
  const uint64_t start_ns = monotonic_ns();
  book_->lend_many(*borrower, asks_);
  const uint64_t now_ns = monotonic_ns();
  lend_times_.add((now_ns - start_ns) / asks_.size());
  for (size_t index = 0; index < asks_.size(); ++index) {
    Pool& pool = *asked_pools_[index];
    auto& loan = asks_[index].loan;
    pool.note = loan.ok() ? loan->reason() : loan.error().message;
    if (!loan.ok() || loan->granted() == 0) {
      pool.refused += 1;
      continue;
    }
    pool.loan = std::move(*loan);
    pool.since_ns = now_ns;
    pool.loans += 1;
    runner.loans += 1;
  }
  asks_.clear();
}

void Lender::Work::count_borrowed(Runner& runner, Pool& pool) {
  const uint64_t now_ns = monotonic_ns();
  const double seconds = static_cast<double>(now_ns - pool.since_ns) / 1e9;
  pool.since_ns = now_ns;
  const auto amount = static_cast<double>(pool.loan.granted_to_borrower());
  if (pool.resource == Resource::kMemory) {
    runner.borrowed_byte_seconds += amount * seconds;
  } else if (auto base = book_->base(*runner.cpu); base.ok() && base->period_us > 0) {
    runner.borrowed_cpu_seconds += amount / static_cast<double>(base->period_us) * seconds;
  }
}

/// As many threads as the budget of this moment keeps busy, a part of one counted as one.
void Lender::Work::tell_threads(Runner& runner) {
  if (!runner.cpu) return;
  const auto base = book_->base(*runner.cpu);
  if (!base.ok()) return;
  uint32_t threads = 0;
  if (base->amount != lease::kUnlimited && base->period_us > 0) {
    int64_t borrowed = 0;
    for (const auto& [name, pool] : runner.pools) {
      if (pool.resource == Resource::kCpu) borrowed += pool.loan.granted_to_borrower();
    }
    runner.spec.board->header().borrowed_cpu.store(
        static_cast<uint32_t>(borrowed * 1000 / base->period_us), std::memory_order_relaxed);
    const int64_t quota = base->amount + borrowed;
    const int64_t whole = (quota + base->period_us - 1) / base->period_us;
    threads = static_cast<uint32_t>(std::clamp<int64_t>(whole, 1, runner.spec.most_threads));
  }
  runner.spec.board->set_threads(threads);
}

void Lender::Work::tell_lent(const Client& client) const {
  if (client.spec.slot == wire::kNoBoardSlot) return;
  const auto granted = [](const Side& side) {
    return side.pool == nullptr || !side.holds ? 0 : side.pool->loan.granted();
  };
  const int64_t period_us = client.cpu.pool == nullptr ? 0 : client.cpu.pool->period_us;
  slot(client).lent_cpu.store(
      period_us > 0 ? static_cast<uint32_t>(granted(client.cpu) * 1000 / period_us) : 0,
      std::memory_order_relaxed);
  slot(client).lent_memory_pages.store(static_cast<uint32_t>(granted(client.memory) / 4096),
                                       std::memory_order_relaxed);
}

void Lender::Work::answer_asking(Runner& runner) {
  for (Client* client : runner.asking) {
    slot(*client).memory_given.store(client->asked);
    ipc::futex_wake_all(&slot(*client).memory_given);
  }
  runner.asking.clear();
}

control::LeasesT Lender::Work::report(bool reconcile) {
  control::LeasesT leases;
  if (reconcile) leases.repaired = book_->reconcile();
  for (const auto& view : book_->accounts()) {
    auto account = std::make_unique<control::LeaseAccountT>();
    account->resource = lease::resource_name(view.resource);
    account->group = view.name;
    account->label = host_.label(
        view.resource == Resource::kCpu ? cgroup::Controller::kCpu : cgroup::Controller::kMemory,
        view.name);
    account->base = view.base;
    account->period_us = view.period_us;
    account->lent = view.lent;
    account->borrowed = view.borrowed;
    account->current = view.current.value_or(0);
    account->conserved = view.conserved;
    account->gone = view.gone;
    account->foreign_changes = view.foreign_changes;
    leases.accounts.push_back(std::move(account));
  }
  for (const Resource resource : {Resource::kCpu, Resource::kMemory}) {
    const lease::ConservedSum sum = book_->conserved_sum(resource);
    auto line = std::make_unique<control::LeaseSumT>();
    line->resource = lease::resource_name(resource);
    line->base = sum.base;
    line->files = sum.files;
    line->in_transit = sum.in_transit;
    line->unbacked = sum.unbacked;
    line->conserved = sum.conserved;
    leases.sums.push_back(std::move(line));
  }
  for (const auto& [id, runner] : runners_) {
    auto entry = std::make_unique<control::LeaseRunnerT>();
    entry->pid = runner->spec.pid;
    entry->cpu_group = runner->spec.cpu_group;
    entry->memory_group = runner->spec.memory_group;
    entry->threads = runner->spec.board->header().threads.load();
    for (auto& [name, pool] : runner->pools) {
      if (pool.loan.held()) count_borrowed(*runner, pool);
    }
    entry->total_loans = runner->loans;
    entry->total_returns = runner->returns;
    entry->total_borrowed_cpu_seconds = runner->borrowed_cpu_seconds;
    entry->total_borrowed_byte_seconds = runner->borrowed_byte_seconds;
    leases.runners.push_back(std::move(entry));
    for (const auto& [session, client] : runner->clients) {
      auto line = std::make_unique<control::LeaseClientT>();
      line->session = session;
      line->pid = client->spec.pid;
      line->name = client->spec.name;
      line->runner_pid = runner->spec.pid;
      line->in_call = client->spec.slot != wire::kNoBoardSlot && slot(*client).in_flight.load() > 0;
      for (const Side* side : {&client->cpu, &client->memory}) {
        auto text = std::make_unique<control::LeaseSideT>();
        text->resource = side == &client->cpu ? "cpu" : "memory";
        text->policy = lease::to_string(side->spec.policy);
        text->group = side->spec.group;
        text->note = side->spec.note;
        if (side->pool != nullptr) {
          text->lent = side->pool->loan.granted();
          text->total_loans = side->pool->loans;
          text->total_refused = side->pool->refused;
          if (text->note.empty()) text->note = side->pool->note;
          if (auto base = book_->base(side->pool->lender); base.ok()) {
            text->period_us = base->period_us;
          }
        }
        line->sides.push_back(std::move(text));
      }
      leases.clients.push_back(std::move(line));
    }
  }
  leases.lend_us_p50 = lend_times_.median_us();
  leases.return_us_p50 = return_times_.median_us();
  leases.total_cpu_ns = thread_cpu_ns();
  leases.total_wakeups = wakeups_;
  return leases;
}

}  // namespace pocket::daemon
