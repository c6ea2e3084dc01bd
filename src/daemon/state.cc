#include "daemon/state.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "ipc/region.h"

namespace pocket::daemon {
namespace {

constexpr uint64_t kStateBytes = kStateSessionsOffset + kStateSessions * sizeof(StateSession);

}  // namespace

Result<State> State::map(UniqueFd memory) {
  State state;
  state.memory_ = std::move(memory);
  POCKET_RETURN_IF_ERROR(ipc::verify_region(state.memory_.get(), kStateBytes));
  POCKET_ASSIGN_OR_RETURN(state.mapping_,
                          Mapping::map(state.memory_.get(), kStateBytes, MapAccess::kReadWrite));
  return state;
}

Result<State> State::create() {
  POCKET_ASSIGN_OR_RETURN(UniqueFd memory, ipc::create_region("pocketd-state", kStateBytes));
  POCKET_ASSIGN_OR_RETURN(State state, map(std::move(memory)));
  StateHeader& header = state.header();
  header.magic = kStateMagic;
  header.version = kStateVersion;
  header.sessions = kStateSessions;
  header.owner = static_cast<uint64_t>(::getpid());
  header.generation.store(1);
  header.next_session.store(1);
  header.next_channel.store(1);
  header.next_model.store(1);
  header.next_runner.store(1);
  return state;
}

Result<State> State::adopt(UniqueFd memory) {
  POCKET_ASSIGN_OR_RETURN(State state, map(std::move(memory)));
  StateHeader& header = state.header();
  if (header.magic != kStateMagic || header.version != kStateVersion ||
      header.sessions != kStateSessions) {
    return Error{POCKET_VERSION_MISMATCH,
                 "the pocketd before this one was of another version: its clients connect anew"};
  }
  header.generation.fetch_add(1);
  for (uint32_t index = 0; index < kStateSessions; ++index) {
    const uint64_t session = state.slot(index).session.load(std::memory_order_acquire);
    if (session == 0) {
      // Slots are taken from the front, so the first untouched page ends it.
      if (state.slot(index).bytes == 0) break;
      state.free_.push_back(index);
    } else {
      state.slots_[session] = index;
    }
    state.used_ = index + 1;
  }
  return state;
}

bool State::save(uint64_t session, std::span<const uint8_t> hello) {
  if (hello.empty() || hello.size() > sizeof(StateSession::hello)) return false;
  if (free_.empty() && used_ == kStateSessions) return false;
  uint32_t index = used_;
  if (free_.empty()) {
    used_ += 1;
  } else {
    index = free_.back();
    free_.pop_back();
  }
  StateSession& entry = slot(index);
  entry.bytes = static_cast<uint32_t>(hello.size());
  std::memcpy(entry.hello, hello.data(), hello.size());
  entry.session.store(session, std::memory_order_release);
  slots_[session] = index;
  return true;
}

void State::forget(uint64_t session) {
  const auto found = slots_.find(session);
  if (found == slots_.end()) return;
  slot(found->second).session.store(0, std::memory_order_release);
  free_.push_back(found->second);
  slots_.erase(found);
}

std::vector<State::Saved> State::sessions() const {
  std::vector<Saved> saved;
  for (const auto& [session, index] : slots_) {
    const StateSession& entry = slot(index);
    const auto bytes = std::min<size_t>(entry.bytes, sizeof(entry.hello));
    saved.push_back({session, {entry.hello, entry.hello + bytes}});
  }
  std::ranges::sort(saved, {}, &Saved::session);
  return saved;
}

}  // namespace pocket::daemon
