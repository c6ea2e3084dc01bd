// What the next pocketd must know and cannot ask anybody: numbers given out, and how each client
// said Hello. In memory that outlives the process; docs/format-state.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::daemon {

constexpr uint64_t kStateMagic = 0x4554415453444b50;  // "PKDSTATE", little-endian
constexpr uint32_t kStateVersion = 1;
constexpr uint32_t kStateSessions = 65536;
constexpr uint64_t kStateSessionsOffset = 4096;

struct StateHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t sessions;  // slots
  uint64_t owner;     // names the runners' groups: the process number of the first pocketd
  std::atomic<uint64_t> generation;  // pocketds so far
  std::atomic<uint64_t> next_session;
  std::atomic<uint64_t> next_channel;
  std::atomic<uint64_t> next_model;
  std::atomic<uint64_t> next_runner;
};
static_assert(sizeof(StateHeader) == 64);

struct StateSession {
  std::atomic<uint64_t> session;  // 0: free; stored last
  uint32_t bytes;
  uint32_t reserved;
  uint8_t hello[1008];  // the control message
};
static_assert(sizeof(StateSession) == 1024);

/// Loop's thread only.
class State {
 public:
  struct Saved {
    uint64_t session;
    std::vector<uint8_t> hello;
  };

  static Result<State> create();
  /// That of an earlier pocketd; counts this one. VERSION_MISMATCH, DATA_LOSS.
  static Result<State> adopt(UniqueFd memory);

  int memory() const { return memory_.get(); }
  uint64_t owner() const { return header().owner; }
  /// 1 for the first pocketd.
  uint64_t generation() const { return header().generation.load(); }
  uint64_t next_session() { return header().next_session.fetch_add(1); }
  uint32_t next_channel() { return static_cast<uint32_t>(header().next_channel.fetch_add(1)); }
  uint32_t next_model() { return static_cast<uint32_t>(header().next_model.fetch_add(1)); }
  uint32_t next_runner() { return static_cast<uint32_t>(header().next_runner.fetch_add(1)); }

  /// False: it is too long, or there is no room; such a client connects anew after a crash.
  bool save(uint64_t session, std::span<const uint8_t> hello);
  void forget(uint64_t session);
  std::vector<Saved> sessions() const;

 private:
  State() = default;
  static Result<State> map(UniqueFd memory);
  StateHeader& header() const { return *reinterpret_cast<StateHeader*>(mapping_.data()); }
  StateSession& slot(uint32_t index) const {
    return reinterpret_cast<StateSession*>(mapping_.data() + kStateSessionsOffset)[index];
  }

  UniqueFd memory_;
  Mapping mapping_;
  uint32_t used_ = 0;  // slots at and above it were never used
  std::vector<uint32_t> free_;
  std::unordered_map<uint64_t, uint32_t> slots_;  // by session
};

}  // namespace pocket::daemon
