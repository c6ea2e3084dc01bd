#include "runner/board.h"

#include <pthread.h>

#include "base/clock.h"
#include "ipc/region.h"

namespace pocket::runner {
namespace {

// pocketd answers within microseconds; one that does not in this time is gone.
constexpr uint64_t kMemoryWaitNs = 100'000'000;
// Turns of a spinning wait before sleeping: pocketd mostly answers within a few microseconds.
constexpr int kSpins = 200;

}  // namespace

Result<std::shared_ptr<Board>> Board::map(const UniqueFd& board, UniqueFd bell) {
  POCKET_RETURN_IF_ERROR(ipc::verify_region(board.get(), wire::kBoardBytes));
  std::shared_ptr<Board> result(new Board());
  POCKET_ASSIGN_OR_RETURN(result->mapping_,
                          Mapping::map(board.get(), wire::kBoardBytes, MapAccess::kReadWrite));
  if (result->header().magic != wire::kBoardMagic ||
      result->header().version != wire::kBoardVersion) {
    return Error{POCKET_VERSION_MISMATCH, "pocketd sent a board of another version"};
  }
  result->bell_ = std::move(bell);
  return result;
}

Board::~Board() { stop_watching(); }

void Board::watch_threads(std::function<void(uint32_t threads)> changed) {
  watcher_ = std::thread([this, changed = std::move(changed)] {
    ::pthread_setname_np(::pthread_self(), "budget");
    const std::atomic<uint32_t>& word = header().threads;
    uint32_t known = word.load();
    changed(known);
    while (!stopping_.load()) {
      ipc::futex_wait(&word, known, UINT64_MAX);
      const uint32_t now = word.load();
      if (now == known || stopping_.load()) continue;
      known = now;
      changed(known);
    }
  });
}

void Board::stop_watching() {
  if (!watcher_.joinable()) return;
  stopping_.store(true);
  header().threads.fetch_add(1);  // so that a thread about to sleep does not; nobody reads it now
  ipc::futex_wake_all(&header().threads);
  watcher_.join();
}

void Board::tell(uint32_t slot) {
  header().dirty[slot / 64].fetch_or(uint64_t{1} << (slot % 64));
  header().dirty_words.fetch_or(uint64_t{1} << (slot / 64));
  if (header().daemon_parked.load() != 0) ipc::ring_doorbell(bell_.get());
}

void Board::call_taken(uint32_t slot) {
  wire::BoardSlot& entry = at(slot);
  if (entry.in_flight.fetch_add(1) != 0) return;
  entry.bursts.fetch_add(1);
  if ((entry.wants.load() & wire::kWantsBusy) != 0) tell(slot);
}

void Board::before_answer(uint32_t slot) {
  wire::BoardSlot& entry = at(slot);
  // Counted before the look at `wants`: pocketd sets that and then looks at the count, so either
  // this thread asks, or pocketd does not lend.
  const uint32_t answering = entry.answering.fetch_add(1) + 1;
  if ((entry.wants.load() & wire::kWantsMemoryBefore) == 0) return;
  if (answering < entry.in_flight.load()) return;
  const uint32_t asked = entry.memory_asked.fetch_add(1) + 1;
  tell(slot);
  const uint64_t deadline = deadline_after(kMemoryWaitNs);
  for (int turn = 0;; ++turn) {
    const uint32_t given = entry.memory_given.load();
    if (static_cast<int32_t>(given - asked) >= 0) return;
    if (turn < kSpins) continue;
    if (!ipc::futex_wait(&entry.memory_given, given, deadline)) return;
  }
}

void Board::call_answered(uint32_t slot) {
  wire::BoardSlot& entry = at(slot);
  // In this order: between the two, others that answer ask once too often, never too seldom.
  const uint32_t before = entry.in_flight.fetch_sub(1);
  entry.answering.fetch_sub(1);
  if (before == 1 && (entry.wants.load() & wire::kWantsIdle) != 0) tell(slot);
}

void Board::call_dropped(uint32_t slot) {
  wire::BoardSlot& entry = at(slot);
  if (entry.in_flight.fetch_sub(1) == 1 && (entry.wants.load() & wire::kWantsIdle) != 0) tell(slot);
}

}  // namespace pocket::runner
