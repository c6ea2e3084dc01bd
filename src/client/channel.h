// The client's end of a channel: submissions in, completions out, waiting in between.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/mapping.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "client/arena.h"
#include "client/session.h"
#include "pocket/pocket.h"
#include "wire/layout.h"

namespace pocket::client {

/// A submission whose answer is awaited. Owned by its call; must stay until `done`.
struct Pending {
  std::atomic<bool> done{true};
  wire::Completion completion{};  // valid once done
  bool given_up = false;          // valid once done: answered here, not by the runner
  uint64_t call_id = 0;
};

/// What the service said when the model was opened.
struct OpenedChannel {
  uint32_t id = 0;
  uint64_t connection = 0;
  std::array<UniqueFd, 4> fds;  // request, response, doorbell, notify
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
};

/// Any thread. The mapping stays valid as long as the object, also when the service is gone.
class Channel {
 public:
  static Result<std::shared_ptr<Channel>> create(std::shared_ptr<Session> session,
                                                 OpenedChannel opened, pocket_wait_mode wait_mode);

  /// Room in the request or the response regions, which grow when it is needed.
  Result<Block> allocate_request(uint64_t bytes) { return allocate(bytes, /*request=*/true); }
  Result<Block> allocate_response(uint64_t bytes) { return allocate(bytes, /*request=*/false); }
  void free_request(const Block& block);
  void free_response(const Block& block);
  std::byte* request_data(const Block& block) const {
    return requests_[block.region].data() + block.offset;
  }
  const std::byte* response_data(uint32_t region, uint64_t offset) const {
    return responses_[region].data() + offset;
  }
  /// True when [offset, offset + bytes) of a response region is mapped here.
  bool has_response(uint32_t region, uint64_t offset, uint64_t bytes) const;

  /// Publishes a submission (its call_id is set here). BUSY: too many in flight.
  Result<void> submit(wire::Submission submission, Pending& pending);
  /// Answers a submission here and now with `status`, whatever the runner still does: whoever waits
  /// for it wakes up, and the runner is asked not to start it. Nothing happens when it is answered
  /// already. Once this has answered, `pending` is not touched any more.
  void give_up(Pending& pending, pocket_status status);
  /// Gives back memory that a submission used: at once when the runner has answered it, else when
  /// it does, because until then the runner may write there.
  void free_after(uint64_t call_id, std::vector<Block> requests, std::vector<Block> responses);
  /// Waits until the answer is here, the channel breaks, or the deadline (false) passes.
  bool wait(Pending& pending, uint64_t deadline_ns);
  /// Takes in what has been answered; returns how many.
  uint32_t poll();

  bool broken() const;
  uint32_t id() const { return id_; }
  uint64_t connection() const { return connection_; }
  Session& session() const { return *session_; }

  /// From now on answers also make this descriptor readable.
  int notify_fd();
  void clear_notify();

 private:
  /// A submission that was given up and that the runner has not answered yet, with its memory.
  struct Abandoned {
    uint64_t call_id;
    bool asked = false;  // the runner not to start it
    std::vector<Block> requests;
    std::vector<Block> responses;
  };

  Channel(std::shared_ptr<Session> session, OpenedChannel opened, pocket_wait_mode wait_mode);
  Result<void> map_region(uint32_t region, const UniqueFd& request, uint64_t request_bytes,
                          const UniqueFd& response, uint64_t response_bytes);
  Result<Block> allocate(uint64_t bytes, bool request);
  std::optional<Block> try_allocate(uint64_t bytes, bool request);
  Result<void> grow(uint64_t request_bytes, uint64_t response_bytes);
  uint32_t drain() POCKET_REQUIRES(mutex_);
  void fail_all() POCKET_REQUIRES(mutex_);
  void ask_to_cancel() POCKET_REQUIRES(mutex_);
  void free_abandoned(uint64_t call_id) POCKET_REQUIRES(mutex_);
  void wake_sleeper(uint64_t call_id);
  bool should_spin() const;
  bool spin(const Pending& pending, uint64_t deadline_ns);
  bool park(Pending& pending, uint64_t deadline_ns);
  bool look(const Pending& pending);  // drains; true when nothing is left to wait for

  wire::RequestHeader* request_header() const {
    return reinterpret_cast<wire::RequestHeader*>(requests_[0].data());
  }
  const wire::ResponseHeader* response_header() const {
    return reinterpret_cast<const wire::ResponseHeader*>(responses_[0].data());
  }

  const std::shared_ptr<Session> session_;
  const uint32_t id_;
  const uint64_t connection_;
  const pocket_wait_mode wait_mode_;
  UniqueFd doorbell_;
  UniqueFd notify_;
  // Constant once counted in region_count_. One that could not be mapped stays empty.
  std::array<Mapping, wire::kMaxRegions> requests_;
  std::array<Mapping, wire::kMaxRegions> responses_;
  std::atomic<uint32_t> region_count_{0};

  Mutex grow_mutex_;  // taken before mutex_: regions are added one after the other
  Mutex mutex_;
  Arena request_arena_ POCKET_GUARDED_BY(mutex_);
  Arena response_arena_ POCKET_GUARDED_BY(mutex_);
  uint64_t submitted_ POCKET_GUARDED_BY(mutex_) = 0;
  uint64_t sequence_ POCKET_GUARDED_BY(mutex_) = 0;
  std::vector<uint64_t> sleepers_ POCKET_GUARDED_BY(mutex_);  // the calls whose threads are parked
  std::atomic<uint64_t> taken_{0};  // written under mutex_: completions copied out
  std::array<Pending*, wire::kRingSlots> pending_ POCKET_GUARDED_BY(mutex_){};
  std::vector<uint32_t> free_slots_ POCKET_GUARDED_BY(mutex_);
  std::vector<Abandoned> abandoned_ POCKET_GUARDED_BY(mutex_);
  uint32_t unasked_ POCKET_GUARDED_BY(mutex_) = 0;  // of abandoned_
  std::atomic<uint64_t> service_ns_;  // running mean of what a call takes on the runner's side
};

}  // namespace pocket::client
