#include "runner/control.h"

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <new>
#include <system_error>

#include "base/clock.h"
#include "base/mutex.h"

namespace pocket::runner {
namespace {

namespace control = wire::control;

// When pocketd is gone, calls that run are still answered, but no longer than this.
constexpr std::chrono::seconds kLastCalls{2};

/// Proportional memory of this process in bytes; 0 when it cannot be read.
uint64_t memory_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if (word == "Pss:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

std::vector<std::unique_ptr<control::TensorInfoT>> pack_infos(
    const std::vector<engine::TensorInfo>& infos) {
  std::vector<std::unique_ptr<control::TensorInfoT>> packed;
  for (const auto& info : infos) {
    auto table = std::make_unique<control::TensorInfoT>();
    table->name = info.name;
    table->dtype = info.dtype;
    table->rank = info.rank;
    table->shape.assign(info.dimensions().begin(), info.dimensions().end());
    packed.push_back(std::move(table));
  }
  return packed;
}

Error wrong_descriptors(size_t got, size_t wanted) {
  return Error{POCKET_INVALID_ARGUMENT,
               fmt::format("{} descriptors came, {} are needed", got, wanted)};
}

}  // namespace

Control::~Control() {
  if (board_ != nullptr) board_->stop_watching();
  if (orphaned_) {
    // Not the service's end: another pocketd may be there in a moment.
    workers_->shut_down({POCKET_UNAVAILABLE,
                         "pocketd ended while the call was waiting; it may be started again: try "
                         "again"});
  } else {
    workers_->shut_down();
  }
  for (auto& channel : workers_->all()) channel->close(/*tell=*/true);
  for (auto& entry : background_) entry.thread.join();
  end_ = {};
}

void Control::send_packet(const std::vector<uint8_t>& packet) {
  MutexLock lock(send_mutex_);
  if (auto sent = ipc::send_packet(socket_.get(), packet); !sent.ok()) {
    spdlog::warn("answering pocketd: {}", sent.error().message);
  }
}

void Control::answer(uint64_t request, const Result<void>& result) {
  if (result.ok()) {
    send(request, control::DoneT{});
    return;
  }
  control::FailedT failed;
  failed.status = result.error().code;
  failed.message = result.error().message;
  send(request, std::move(failed));
}

Result<void> Control::run() {
  control::RunnerReadyT ready;
  ready.engine = plugin_.api().name;
  ready.engine_version = plugin_.api().version;
  send(0, std::move(ready));
  workers_->refusals().on_first([this] { send(0, control::RunnerRefusalsT{}); });
  while (true) {
    auto packet = ipc::receive_packet_until(socket_.get(), kForever);
    if (!packet.ok()) {
      if (packet.error().code != POCKET_UNAVAILABLE) return std::move(packet).error();
      end_soon();
      return ok_result();
    }
    POCKET_ASSIGN_OR_RETURN(Message message, wire::decode_message(packet->bytes));
    if (packet->lost_fds) {
      answer(message.id,
             Error{POCKET_RESOURCE_EXHAUSTED,
                   "the runner of the model has no descriptor left for another client: close "
                   "some, or raise the limit of pocketd (`ulimit -n`)"});
      continue;
    }
    if (!handle(std::move(message), std::move(packet->fds))) return ok_result();
  }
}

void Control::end_soon() {
  orphaned_ = true;
  end_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;  // of this thread alone: only the stop request ends the wait early
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    if (ended.wait_for(lock, stop, kLastCalls, [] { return false; }) || stop.stop_requested()) {
      return;
    }
    spdlog::warn("pocketd is gone, and a call does not end: its client is told, this runner ends");
    for (auto& channel : workers_->all()) channel->close(/*tell=*/true);
    ::_exit(1);
  });
}

bool Control::handle(Message message, std::vector<UniqueFd> fds) {
  const uint64_t request = message.id;
  if (auto* load_message = message.body.AsRunnerLoad()) {
    load(request, std::move(*load_message), std::move(fds));
  } else if (const auto* unload_message = message.body.AsRunnerUnload()) {
    unload(request, unload_message->model);
  } else if (const auto* attach_message = message.body.AsRunnerAttach()) {
    const auto attached = attach(*attach_message, std::move(fds));
    answer(request, attached);  // by now only what stays is still open
  } else if (const auto* grow_message = message.body.AsRunnerGrow()) {
    const auto grown = grow(*grow_message, std::move(fds));
    answer(request, grown);
  } else if (const auto* detach_message = message.body.AsRunnerDetach()) {
    detach(request, *detach_message);
  } else if (const auto* describe_message = message.body.AsRunnerDescribe()) {
    describe(request, *describe_message);
  } else if (const auto* tenant_message = message.body.AsRunnerTenant()) {
    set_rules(*tenant_message);
    answer(request, ok_result());
  } else if (const auto* watch_message = message.body.AsRunnerWatch()) {
    answer(request, watch(*watch_message, fds));
  } else if (message.body.AsRunnerBoard() != nullptr) {
    answer(request, use_board(std::move(fds)));
  } else if (const auto* stats_message = message.body.AsRunnerGetStats()) {
    get_stats(request, *stats_message);
  } else if (message.body.AsRunnerGetRefusals() != nullptr) {
    get_refusals(request);
  } else if (message.body.AsRunnerShutdown() != nullptr) {
    return false;
  } else {
    answer(request, Error{POCKET_UNIMPLEMENTED, "a runner does not know that kind of message"});
  }
  return true;
}

void Control::in_background(uint64_t request, std::function<void()> work) {
  for (auto entry = background_.begin(); entry != background_.end();) {
    if (!entry->over.load()) {
      ++entry;
      continue;
    }
    entry->thread.join();
    entry = background_.erase(entry);
  }
  BackgroundThread& entry = background_.emplace_back();
  try {
    entry.thread = std::thread([&entry, work = std::move(work)] {
      work();
      entry.over.store(true);
    });
  } catch (const std::system_error& error) {
    background_.pop_back();
    answer(request, Error{POCKET_RESOURCE_EXHAUSTED,
                          fmt::format("the runner cannot start a thread: {}", error.what())});
  }
}

void Control::load(uint64_t request, control::RunnerLoadT load, std::vector<UniqueFd> scratch) {
  // A load takes seconds, and other models of this runner go on meanwhile.
  auto wanted = std::make_shared<control::RunnerLoadT>(std::move(load));
  auto files = std::make_shared<std::vector<UniqueFd>>(std::move(scratch));
  in_background(request, [this, request, wanted, files] {
    loading_.fetch_add(1);
    auto loaded = [&]() -> Result<control::RunnerLoadedT> {
      try {
        return load_now(*wanted, *files);
      } catch (const std::bad_alloc&) {
        return Error{POCKET_RESOURCE_EXHAUSTED,
                     "there is no memory left to load the model: unload another one"};
      }
    }();
    loading_.fetch_sub(1);
    if (loaded.ok()) {
      send(request, std::move(loaded).value());
    } else {
      answer(request, std::move(loaded).error());
    }
  });
}

Result<control::RunnerLoadedT> Control::load_now(const control::RunnerLoadT& load,
                                                 std::span<const UniqueFd> scratch) {
  const uint64_t before_ns = monotonic_ns();
  const uint64_t before_bytes = memory_bytes();
  POCKET_ASSIGN_OR_RETURN(auto model,
                          table_.load(load, scratch, board_ == nullptr ? 0 : board_->threads()));
  // Reading and converting a model takes up to twice its size for a moment.
  ::malloc_trim(0);
  control::RunnerLoadedT result;
  result.model = load.model;
  result.inputs = pack_infos(model->inputs());
  result.outputs = pack_infos(model->outputs());
  result.load_ms = static_cast<double>(monotonic_ns() - before_ns) / 1e6;
  const uint64_t after_bytes = memory_bytes();
  result.memory_bytes = after_bytes > before_bytes ? after_bytes - before_bytes : 0;
  workers_->grow_to(load.concurrency);
  if (board_ != nullptr) table_.limit_threads(board_->threads());
  MutexLock lock(models_mutex_);
  models_[load.model] = std::move(model);
  remember(load, result);
  return result;
}

void Control::unload(uint64_t request, uint32_t id) {
  std::shared_ptr<RunnerModel> model;
  {
    MutexLock lock(models_mutex_);
    const auto found = models_.find(id);
    if (found != models_.end()) {
      model = std::move(found->second);
      models_.erase(found);
      loaded_.erase(id);
    }
  }
  if (model == nullptr) {
    answer(request, Error{POCKET_NOT_FOUND, fmt::format("no model {}", id)});
    return;
  }
  workers_->scheduler().forget_model(id);
  // An engine may take its time to let go, and other models of this runner go on meanwhile.
  auto last = std::make_shared<std::shared_ptr<RunnerModel>>(std::move(model));
  in_background(request, [this, request, last] {
    last->reset();
    ::malloc_trim(0);  // what it used goes back to the system
    answer(request, ok_result());
  });
}

template <typename Table>
void Control::set_rules(const Table& tenant) {
  workers_->scheduler().set_rules(
      tenant.tenant, {tenant.tenant_name, tenant.weight, tenant.priority, tenant.max_in_flight,
                      tenant.calls_per_second, tenant.cpu_share, tenant.lent_weights});
  auto& budget = kept_[tenant.tenant];
  if (budget == nullptr) budget = std::make_shared<KeptBudget>();
  budget->set_limit(tenant.tenant_name, tenant.kept_bytes);
}

std::shared_ptr<HandleStore> Control::handles_of(uint64_t session, uint32_t tenant) {
  std::erase_if(handles_, [](const auto& entry) { return entry.second.expired(); });
  auto& slot = handles_[session];
  auto store = slot.lock();
  if (store == nullptr) {
    store = std::make_shared<HandleStore>(kept_.at(tenant));
    slot = store;
  }
  return store;
}

Result<void> Control::attach(const control::RunnerAttachT& attach, std::vector<UniqueFd> fds) {
  if (fds.size() != 4) return wrong_descriptors(fds.size(), 4);
  Channel::Parts parts;
  parts.id = attach.channel;
  parts.session = attach.session;
  parts.model_number = attach.model;
  {
    MutexLock lock(models_mutex_);
    const auto found = models_.find(attach.model);
    if (found == models_.end()) {
      return Error{POCKET_NOT_FOUND, fmt::format("no model {} in this runner", attach.model)};
    }
    parts.model = found->second;
  }
  parts.client = parts.model->join(attach.session);
  set_rules(attach);
  parts.handles = handles_of(attach.session, attach.tenant);
  parts.board = board_;
  parts.slot = attach.slot < wire::kBoardSlots ? attach.slot : wire::kNoBoardSlot;
  parts.tenant = attach.tenant;
  parts.doorbell = std::move(fds[2]);
  parts.notify = std::move(fds[3]);
  auto channel = std::make_shared<Channel>(std::move(parts));
  POCKET_RETURN_IF_ERROR(
      channel->add_region(0, fds[0], attach.request_bytes, fds[1], attach.response_bytes));
  return workers_->add(std::move(channel));
}

Result<void> Control::grow(const control::RunnerGrowT& grow, std::vector<UniqueFd> fds) {
  if (fds.size() != 2) return wrong_descriptors(fds.size(), 2);
  const auto channel = workers_->find(grow.channel);
  if (channel == nullptr) {
    return Error{POCKET_NOT_FOUND, fmt::format("no channel {} in this runner", grow.channel)};
  }
  return channel->add_region(grow.region, fds[0], grow.request_bytes, fds[1], grow.response_bytes);
}

void Control::detach(uint64_t request, const control::RunnerDetachT& detach) {
  // Queued calls are dropped; one that runs keeps the channel's memory until it ends.
  if (detach.tell) {
    if (const auto channel = workers_->find(detach.channel)) channel->close(/*tell=*/true);
  }
  const bool known = workers_->remove(detach.channel) != nullptr;
  answer(request, known ? ok_result()
                        : Result<void>(Error{POCKET_NOT_FOUND,
                                             fmt::format("no channel {}", detach.channel)}));
}

Result<void> Control::watch(const control::RunnerWatchT& watch, const std::vector<UniqueFd>& fds) {
  MutexLock lock(models_mutex_);
  const auto found = models_.find(watch.model);
  if (found == models_.end()) {
    return Error{POCKET_NOT_FOUND, fmt::format("no model {} in this runner", watch.model)};
  }
  if (fds.empty()) {
    found->second->set_watch(nullptr);
    return ok_result();
  }
  Watch::Orders orders;
  orders.model = watch.model;
  orders.seed = watch.seed;
  for (const auto& digest : watch.refused) orders.refused.insert({digest->low, digest->high});
  for (const auto& digest : watch.suspects) orders.suspects.insert({digest->low, digest->high});
  POCKET_ASSIGN_OR_RETURN(auto made, Watch::map(fds[0], turnstile_, std::move(orders)));
  found->second->set_watch(std::move(made));
  return ok_result();
}

Result<void> Control::use_board(std::vector<UniqueFd> fds) {
  if (fds.size() != 2) return wrong_descriptors(fds.size(), 2);
  if (board_ != nullptr) return Error{POCKET_ALREADY_EXISTS, "this runner has a board"};
  POCKET_ASSIGN_OR_RETURN(board_, Board::map(fds[0], std::move(fds[1])));
  board_->watch_threads([this](uint32_t threads) { limit_threads(threads); });
  return ok_result();
}

void Control::limit_threads(uint32_t threads) {
  table_.limit_threads(threads);
  workers_->limit_to(threads);
}

}  // namespace pocket::runner
