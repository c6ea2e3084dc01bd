#include "daemon/board.h"

#include <algorithm>

#include "daemon/channel.h"
#include "ipc/region.h"

namespace pocket::daemon {

Result<std::shared_ptr<Board>> Board::create() {
  std::shared_ptr<Board> board(new Board());
  POCKET_ASSIGN_OR_RETURN(board->memory_, ipc::create_region("pocket-board", wire::kBoardBytes));
  POCKET_ASSIGN_OR_RETURN(board->mapping_, Mapping::map(board->memory_.get(), wire::kBoardBytes,
                                                        MapAccess::kReadWrite));
  board->header().magic = wire::kBoardMagic;
  board->header().version = wire::kBoardVersion;
  return board;
}

Result<std::shared_ptr<Board>> Board::adopt(UniqueFd memory) {
  POCKET_RETURN_IF_ERROR(ipc::verify_region(memory.get(), wire::kBoardBytes));
  std::shared_ptr<Board> board(new Board());
  board->memory_ = std::move(memory);
  POCKET_ASSIGN_OR_RETURN(board->mapping_, Mapping::map(board->memory_.get(), wire::kBoardBytes,
                                                        MapAccess::kReadWrite));
  if (board->header().magic != wire::kBoardMagic ||
      board->header().version != wire::kBoardVersion) {
    return Error{POCKET_VERSION_MISMATCH, "the runner's board is of another version"};
  }
  return board;
}

void Board::take_given(uint32_t slot) {
  if (slot >= wire::kBoardSlots) return;
  for (; next_ <= slot; ++next_) resting_.push_back(next_);
  std::erase(resting_, slot);
}

Result<UniqueFd> Board::duplicate() const { return daemon::duplicate(memory_); }

uint32_t Board::take_slot() {
  const auto free = std::find_if(resting_.begin(), resting_.end(), [&](uint32_t number) {
    return slot(number).in_flight.load() == 0;
  });
  if (free == resting_.end()) return next_ < wire::kBoardSlots ? next_++ : wire::kNoBoardSlot;
  const uint32_t number = *free;
  resting_.erase(free);
  return number;
}

void Board::set_threads(uint32_t threads) {
  if (header().threads.exchange(threads) != threads) ipc::futex_wake_all(&header().threads);
}

}  // namespace pocket::daemon
