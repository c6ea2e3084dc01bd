#include "daemon/lender_work.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>

#include "base/clock.h"
#include "ipc/region.h"

namespace pocket::daemon {
namespace {

using lease::Granularity;
using lease::Resource;

// `adaptive`: memory is only lent to calls that last longer than this. Every answer then waits for
// its return, which is nothing beside such a call, and much beside a shorter one.
constexpr uint64_t kLongCallNs = 2'000'000;
// The same where the runner has room: more memory would hardly be of use to it.
constexpr uint64_t kLongCallWithRoomNs = 200'000'000;
constexpr uint64_t kRoomTrustedNs = 20'000'000;
constexpr uint64_t kRetryNs = 100'000'000;

bool follows_calls(Granularity granularity) {
  return granularity == Granularity::kFunc || granularity == Granularity::kAdaptive;
}

}  // namespace

Result<std::unique_ptr<Lender::Work>> Lender::Work::open(const std::string& ledger,
                                                         const cgroup::Host& host,
                                                         uint64_t linger_ns) {
  std::unique_ptr<Work> work(new Work(host, linger_ns));
  POCKET_ASSIGN_OR_RETURN(lease::Ledger file, lease::Ledger::open(ledger));
  POCKET_ASSIGN_OR_RETURN(work->book_, lease::Book::open(std::move(file), work->driver_));
  if (work->book_->owed() > 0) work->retry_ns_ = 0;
  return work;
}

Lender::Work::~Work() {
  while (!runners_.empty()) remove_runner(runners_.begin()->first);
  if (book_ != nullptr) book_->ledger().remove_if_empty();
}

std::optional<lease::AccountId> Lender::Work::open_account(Resource resource,
                                                           const std::string& group) {
  if (group.empty()) return std::nullopt;
  auto account = book_->add_account(resource, group);
  if (account.ok()) return *account;
  spdlog::warn("lending: {}", account.error().message);
  return std::nullopt;
}

void Lender::Work::add_runner(BorrowerSpec spec) {
  auto runner = std::make_unique<Runner>();
  runner->cpu = open_account(Resource::kCpu, spec.cpu_group);
  runner->memory = open_account(Resource::kMemory, spec.memory_group);
  if (runner->memory) {
    if (auto meter = host_.open(cgroup::Controller::kMemory, spec.memory_group); meter.ok()) {
      runner->memory_meter = std::move(*meter);
    }
  }
  runner->by_slot.resize(wire::kBoardSlots);
  runner->spec = std::move(spec);
  tell_threads(*runner);
  runners_[runner->spec.id] = std::move(runner);
}

void Lender::Work::remove_runner(uint32_t id) {
  const auto found = runners_.find(id);
  if (found == runners_.end()) return;
  Runner& runner = *found->second;
  while (!runner.clients.empty()) remove_client(id, runner.clients.begin()->first);
  if (runner.cpu) book_->release_account(*runner.cpu);
  if (runner.memory) book_->release_account(*runner.memory);
  weights_.forget(runner.spec.cpu_group);
  runners_.erase(found);
}

void Lender::Work::join(Runner& runner, Client& client, Side& side, Resource resource) {
  if (side.spec.group.empty()) return;
  const bool cpu = resource == Resource::kCpu;
  if (!(cpu ? runner.cpu : runner.memory)) return;
  Pool& pool = runner.pools[(cpu ? "c" : "m") + side.spec.group];
  if (pool.members == 0) {
    auto account = book_->add_account(resource, side.spec.group);
    if (!account.ok()) {
      side.spec.note = account.error().message;
      runner.pools.erase((cpu ? "c" : "m") + side.spec.group);
      return;
    }
    pool.resource = resource;
    pool.lender = *account;
    pool.policy = side.spec.policy;
    if (cpu) pool.shares = weights_.of(side.spec.group);
  }
  pool.members += 1;
  side.pool = &pool;
  if (cpu) weigh(runner);
  const Granularity granularity = side.spec.policy.granularity;
  if (granularity == Granularity::kConn) acquire(runner, side);
  if (granularity != Granularity::kIdle) return;
  auto meter = host_.open(cgroup::Controller::kCpu,
                          client.spec.cpu.group.empty() ? side.spec.group : client.spec.cpu.group);
  if (meter.ok()) {
    side.meter = std::move(*meter);
    client.idle_due_ns = monotonic_ns();
  } else {
    side.spec.note =
        fmt::format("what the client uses cannot be measured: {}", meter.error().message);
  }
}

void Lender::Work::leave(Runner& runner, Side& side) {
  if (side.pool == nullptr) return;
  release(runner, side);
  Pool& pool = *side.pool;
  side.pool = nullptr;
  if (--pool.members > 0) return;
  settle(runner);
  book_->release_account(pool.lender);
  std::erase_if(runner.pools, [&](const auto& entry) { return &entry.second == &pool; });
  weigh(runner);
}

void Lender::Work::weigh(Runner& runner) {
  int64_t shares = cgroup::kUsualCpuShares;
  for (const auto& [name, pool] : runner.pools) shares += pool.shares;
  if (!runner.cpu || shares == runner.shares) return;
  runner.shares = shares;
  weights_.set(runner.spec.cpu_group, shares, runner.spec.cpu_groups_above);
}

void Lender::Work::add_client(ClientSpec spec) {
  const auto found = runners_.find(spec.runner);
  if (found == runners_.end()) return;
  Runner& runner = *found->second;
  auto owned = std::make_unique<Client>();
  Client& client = *owned;
  client.runner = &runner;
  client.cpu.spec = spec.cpu;
  client.memory.spec = spec.memory;
  client.spec = std::move(spec);
  runner.clients[client.spec.session] = std::move(owned);
  join(runner, client, client.cpu, Resource::kCpu);
  join(runner, client, client.memory, Resource::kMemory);
  if (client.spec.slot != wire::kNoBoardSlot) {
    runner.by_slot[client.spec.slot] = &client;
    client.asked = slot(client).memory_asked.load();
    slot(client).memory_given.store(client.asked);
    handle(client, monotonic_ns());
  }
  settle(runner);
}

void Lender::Work::remove_client(uint32_t id, uint64_t session) {
  const auto found = runners_.find(id);
  if (found == runners_.end()) return;
  Runner& runner = *found->second;
  const auto entry = runner.clients.find(session);
  if (entry == runner.clients.end()) return;
  Client& client = *entry->second;
  if (client.spec.slot != wire::kNoBoardSlot) {
    slot(client).wants.store(0);
    runner.by_slot[client.spec.slot] = nullptr;
    // A runner that is just waiting for the memory of a client that is gone waits for nothing.
    slot(client).memory_given.store(slot(client).memory_asked.load());
    ipc::futex_wake_all(&slot(client).memory_given);
  }
  if (client.due_ns != 0) timers_.erase({client.due_ns, &client});
  std::erase(runner.asking, &client);
  std::erase(runner.handled, &client);
  leave(runner, client.cpu);
  leave(runner, client.memory);
  runner.clients.erase(entry);
  settle(runner);
}

void Lender::Work::set_parked(bool parked) {
  for (const auto& [id, runner] : runners_) {
    runner->spec.board->header().daemon_parked.store(parked ? 1 : 0);
  }
}

uint64_t Lender::Work::next_due_ns() const {
  const uint64_t timer = timers_.empty() ? kForever : timers_.begin()->first;
  return std::min(timer, retry_ns_);
}

bool Lender::Work::look() {
  bool found = false;
  const uint64_t now = monotonic_ns();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Client& client = *timers_.begin()->second;
    timers_.erase(timers_.begin());
    client.due_ns = 0;
    handle_timer(client, now);
    settle(*client.runner);
    found = true;
  }
  for (const auto& [id, runner] : runners_) {
    wire::BoardHeader& header = runner->spec.board->header();
    if (header.dirty_words.load() == 0) continue;
    for (uint64_t words = header.dirty_words.exchange(0); words != 0; words &= words - 1) {
      const auto word = static_cast<uint32_t>(std::countr_zero(words));
      for (uint64_t set = header.dirty[word].exchange(0); set != 0; set &= set - 1) {
        Client* client = runner->by_slot[word * 64 + static_cast<uint32_t>(std::countr_zero(set))];
        if (client != nullptr) handle(*client, now);
      }
    }
    settle(*runner);
    found = true;
  }
  if (retry_ns_ <= now) retry_ns_ = book_->retry_owed() > 0 ? now + kRetryNs : kForever;
  return found;
}

void Lender::Work::handle(Client& client, uint64_t now_ns) {
  client.runner->handled.push_back(&client);
  wire::BoardSlot& entry = slot(client);
  const uint32_t bursts = entry.bursts.load();
  const bool busy = entry.in_flight.load() > 0;
  if (entry.memory_asked.load() != client.asked) {
    client.asked = entry.memory_asked.load();
    client.rests = true;
    client.rests_in_burst = bursts;
    client.runner->asking.push_back(&client);
  }
  handle_cpu(client, busy, bursts, now_ns);
  handle_memory(client, busy, bursts, now_ns);
  watch(client, now_ns);
}

void Lender::Work::watch(Client& client, uint64_t now_ns) {
  set_timer(client);
  bool in_time = set_wants(client);
  Side& memory = client.memory;
  if (memory.holds && !memory.pool->loan.held() && follows_calls(memory.spec.policy.granularity)) {
    // About to be lent: not where the last answer may have passed its look at `wants` before.
    wire::BoardSlot& entry = slot(client);
    const uint32_t bursts = entry.bursts.load();
    if (entry.answering.load() >= entry.in_flight.load()) {
      client.rests = true;
      client.rests_in_burst = bursts;
      release(*client.runner, memory);
      in_time = set_wants(client) && in_time;
    }
  }
  if (!in_time) handle(client, now_ns);
}

void Lender::Work::handle_cpu(Client& client, bool busy, uint32_t bursts, uint64_t now_ns) {
  Side& side = client.cpu;
  if (side.pool == nullptr) return;
  Runner& runner = *client.runner;
  if (side.spec.policy.granularity == Granularity::kFunc) {
    busy ? acquire(runner, side) : release(runner, side);
  } else if (side.spec.policy.granularity == Granularity::kAdaptive && busy && !side.holds) {
    acquire(runner, side);
    client.seen_bursts = bursts;
    client.linger_ns = now_ns + linger_ns_;
  }
}

void Lender::Work::handle_memory(Client& client, bool busy, uint32_t bursts, uint64_t now_ns) {
  Side& side = client.memory;
  if (side.pool == nullptr || !follows_calls(side.spec.policy.granularity)) return;
  if (client.rests && bursts != client.rests_in_burst) client.rests = false;
  if (!busy || client.rests) {
    client.memory_due_ns = 0;
    release(*client.runner, side);
  } else if (side.spec.policy.granularity == Granularity::kFunc) {
    acquire(*client.runner, side);
  } else if (!side.holds && client.memory_due_ns == 0) {
    client.memory_due_ns =
        now_ns + (has_room(*client.runner, now_ns) ? kLongCallWithRoomNs : kLongCallNs);
    client.memory_burst = bursts;
  }
}

/// Three quarters of its own limit are not reached; what it has borrowed is not counted.
bool Lender::Work::has_room(Runner& runner, uint64_t now_ns) {
  if (!runner.memory_meter || now_ns - runner.room_looked_ns < kRoomTrustedNs) {
    return runner.has_room;
  }
  runner.room_looked_ns = now_ns;
  const auto base = book_->base(*runner.memory);
  const auto usage = runner.memory_meter->memory_usage();
  runner.has_room = base.ok() && usage.ok() && base->amount != lease::kUnlimited &&
                    *usage < static_cast<uint64_t>(base->amount) / 4 * 3;
  return runner.has_room;
}

bool Lender::Work::memory_can_wait(const Client& client) const {
  return client.memory.spec.policy.granularity == Granularity::kAdaptive &&
         client.cpu.spec.policy.granularity == Granularity::kAdaptive && client.cpu.holds &&
         client.runner->has_room;
}

void Lender::Work::handle_timer(Client& client, uint64_t now_ns) {
  client.runner->handled.push_back(&client);
  wire::BoardSlot& entry = slot(client);
  const uint32_t bursts = entry.bursts.load();
  const bool busy = entry.in_flight.load() > 0;
  const bool same = bursts == client.seen_bursts;
  if (client.memory_due_ns != 0 && client.memory_due_ns <= now_ns) {
    client.memory_due_ns = 0;
    if (busy && bursts == client.memory_burst && !client.rests)
      acquire(*client.runner, client.memory);
  }
  if (client.linger_ns != 0 && client.linger_ns <= now_ns) {
    client.linger_ns = busy || !same ? now_ns + linger_ns_ : 0;
    if (client.linger_ns == 0) release(*client.runner, client.cpu);
    client.seen_bursts = bursts;
    if (client.memory.spec.policy.granularity == Granularity::kAdaptive) {
      handle_memory(client, busy, bursts, now_ns);
    }
  }
  if (client.idle_due_ns != 0 && client.idle_due_ns <= now_ns) {
    client.idle_due_ns = 0;
    measure_idle(client, client.cpu, now_ns);
    measure_idle(client, client.memory, now_ns);
  }
  watch(client, now_ns);
}

void Lender::Work::set_timer(Client& client) {
  uint64_t due = kForever;
  for (const uint64_t moment : {client.linger_ns, client.memory_due_ns, client.idle_due_ns}) {
    if (moment != 0) due = std::min(due, moment);
  }
  if (due == client.due_ns || (due == kForever && client.due_ns == 0)) return;
  if (client.due_ns != 0) timers_.erase({client.due_ns, &client});
  client.due_ns = due == kForever ? 0 : due;
  if (client.due_ns != 0) timers_.insert({client.due_ns, &client});
}

bool Lender::Work::set_wants(Client& client) {
  if (client.spec.slot == wire::kNoBoardSlot) return true;
  uint32_t wants = 0;
  const auto add = [&](const Side& side) {
    if (side.pool == nullptr || !follows_calls(side.spec.policy.granularity)) return;
    if (!side.holds && !(&side == &client.memory && memory_can_wait(client))) {
      wants |= wire::kWantsBusy;
    }
    if (side.spec.policy.granularity == Granularity::kFunc) wants |= wire::kWantsIdle;
  };
  add(client.cpu);
  add(client.memory);
  // Set before the memory is lent, and taken back when nothing of it could be.
  const Pool* memory = client.memory.pool;
  if (client.memory.holds && follows_calls(client.memory.spec.policy.granularity) &&
      (memory->loan.held() || !memory->tried)) {
    wants |= wire::kWantsMemoryBefore | wire::kWantsIdle;
  }
  wire::BoardSlot& entry = slot(client);
  const uint32_t before = entry.wants.exchange(wants);
  // A call may have come just before the runner was told to tell.
  if ((wants & ~before & wire::kWantsBusy) == 0 || entry.in_flight.load() == 0) return true;
  const auto waits = [](const Side& side) {
    return side.pool != nullptr && !side.holds && follows_calls(side.spec.policy.granularity);
  };
  const bool memory_rests =
      client.memory_due_ns != 0 || (client.rests && client.rests_in_burst == entry.bursts.load());
  return !waits(client.cpu) && (!waits(client.memory) || memory_rests);
}

/// A client that sleeps lends what it does not use; one that wakes has it back within a period.
void Lender::Work::measure_idle(Client& client, Side& side, uint64_t now_ns) {
  constexpr uint32_t kQuietPeriods = 2;  // before lending
  if (!side.meter) return;
  auto limit = side.meter->cpu_limit();
  auto use = side.meter->cpu_use();
  if (!limit.ok() || !use.ok() || !limit->limited()) {
    side.spec.note = "what the client uses cannot be measured";
    release(*client.runner, side);
    side.meter.reset();
    return;
  }
  const uint64_t used_ns = use->usage_ns - std::min(side.used_ns, use->usage_ns);
  const bool first = side.used_ns == 0;
  side.used_ns = use->usage_ns;
  // Asleep: less than a twentieth of what it has now.
  const bool quiet = !first && used_ns < static_cast<uint64_t>(limit->quota_us) * 1000 / 20;
  side.quiet_periods = quiet ? side.quiet_periods + 1 : 0;
  if (!quiet) release(*client.runner, side);
  if (side.quiet_periods >= kQuietPeriods) acquire(*client.runner, side);
  client.idle_due_ns = now_ns + static_cast<uint64_t>(limit->period_us) * 1000;
}

}  // namespace pocket::daemon
