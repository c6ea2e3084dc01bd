// The runner's side of the board it shares with pocketd while budgets are lent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/board.h"

namespace pocket::runner {

/// docs/format-board.md says what is written when. Any thread.
class Board {
 public:
  /// Maps what pocketd sent: the board and its bell.
  static Result<std::shared_ptr<Board>> map(const UniqueFd& board, UniqueFd bell);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  /// How many threads the budget is good for now; 0: no bound.
  uint32_t threads() const { return header().threads.load(std::memory_order_relaxed); }
  /// Calls `changed` from a thread of its own, at once and after each change of threads().
  void watch_threads(std::function<void(uint32_t threads)> changed);
  /// Ends that thread; `changed` is not called any more.
  void stop_watching();

  /// A call of the slot's client was taken in.
  void call_taken(uint32_t slot);
  struct Lent {
    uint32_t cpu = 0;           // by the client, in thousandths of a processor
    uint32_t memory_pages = 0;  // by the client
    uint32_t borrowed_cpu = 0;  // by the runner from all clients
  };
  /// What is lent at this moment, for receipts.
  Lent lent(uint32_t slot) const {
    return {at(slot).lent_cpu.load(std::memory_order_relaxed),
            at(slot).lent_memory_pages.load(std::memory_order_relaxed),
            header().borrowed_cpu.load(std::memory_order_relaxed)};
  }
  /// Before the answer of a call is made visible: where this is the client's last call and its
  /// memory is lent, waits until it is back (docs/format-board.md: at most 100 ms).
  void before_answer(uint32_t slot);
  /// After the answer.
  void call_answered(uint32_t slot);
  /// Instead of both, for a call that gets no answer.
  void call_dropped(uint32_t slot);

 private:
  Board() = default;
  wire::BoardHeader& header() const {
    return *reinterpret_cast<wire::BoardHeader*>(mapping_.data());
  }
  wire::BoardSlot& at(uint32_t slot) const {
    return reinterpret_cast<wire::BoardSlot*>(mapping_.data() + wire::kBoardSlotsOffset)[slot];
  }
  void tell(uint32_t slot);

  Mapping mapping_;
  UniqueFd bell_;
  std::atomic<bool> stopping_{false};
  std::thread watcher_;
};

}  // namespace pocket::runner
