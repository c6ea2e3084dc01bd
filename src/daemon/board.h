// pocketd's side of the board that it shares with a runner while budgets are lent.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/board.h"

namespace pocket::daemon {

/// docs/format-board.md says what is written when. Slots are given out by the loop's thread; what
/// lies in them is read and written by the lender's thread.
class Board {
 public:
  static Result<std::shared_ptr<Board>> create();
  /// That of a runner that an earlier pocketd started. Which slots are in use, take_given says.
  static Result<std::shared_ptr<Board>> adopt(UniqueFd memory);

  /// To be handed to the runner.
  Result<UniqueFd> duplicate() const;
  int memory() const { return memory_.get(); }

  wire::BoardHeader& header() const {
    return *reinterpret_cast<wire::BoardHeader*>(mapping_.data());
  }
  wire::BoardSlot& slot(uint32_t number) const {
    return reinterpret_cast<wire::BoardSlot*>(mapping_.data() + wire::kBoardSlotsOffset)[number];
  }

  /// A slot that no call uses; kNoBoardSlot when all are taken. Loop's thread.
  uint32_t take_slot();
  /// This very slot, which a client of an adopted runner has.
  void take_given(uint32_t slot);
  /// It is given out again once the calls that still run in it have ended. Loop's thread.
  void give_slot(uint32_t number) { resting_.push_back(number); }

  /// Tells the runner how many threads may run; 0: no bound. Wakes it only when that changes.
  void set_threads(uint32_t threads);

 private:
  Board() = default;
  UniqueFd memory_;
  Mapping mapping_;
  uint32_t next_ = 0;
  std::vector<uint32_t> resting_;
};

}  // namespace pocket::daemon
