// The runner's end of a channel: takes submissions in, gives completions out.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/mapping.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "runner/bell.h"
#include "runner/board.h"
#include "runner/flow.h"
#include "runner/handle_store.h"
#include "runner/model.h"
#include "wire/control.h"
#include "wire/layout.h"
#include "wire/validate.h"

namespace pocket::runner {

class Channel;
class Tenant;

/// One submission on its way through the runner: private copies of everything the client wrote.
struct Call {
  std::shared_ptr<Channel> channel;
  wire::Submission submission{};
  // The copied CallBlock; 8-byte aligned, reused from call to call.
  std::vector<std::byte> block;
  wire::CallView view;
  uint64_t seen_ns = 0;
  // Set by the scheduler; guarded by its lock once the call is there.
  uint64_t start_number = 0;  // among its model's calls
  uint64_t started_ns = 0;
  uint64_t expected_ns = 0;    // what it takes by the clock; 0: unknown
  double charged_ns = 0;       // processor time that its flows were charged beforehand
  bool started_alone = false;  // no other call of its model ran
  bool slipped_in = false;     // beyond what may run, because it is short
  bool left_alone = false;     // cancelled while it ran
  std::atomic<bool> cancelled{false};
};

/// What a call ended with.
struct Outcome {
  pocket_status status = POCKET_OK;
  std::string message;                    // for the other statuses
  std::vector<wire::TensorRecord> table;  // for OK
  uint64_t queue_ns = 0;
  uint64_t compute_ns = 0;
  uint64_t cpu_ns = 0;          // of all threads; 0 where nothing ran
  uint64_t needed_bytes = 0;    // OUTPUT_TOO_SMALL
  uint64_t retry_after_ns = 0;  // BUSY
  bool loan_is_home = false;    // the board knows already that the call is over
};

/// Any thread: intake and completion have a lock each. A client that breaks the rules of the rings
/// breaks its own channel and nothing else.
class Channel {
 public:
  struct Parts {
    uint32_t id = 0;
    uint64_t session = 0;
    uint32_t model_number = 0;  // as pocketd calls it
    std::shared_ptr<RunnerModel> model;
    std::shared_ptr<const Client> client;  // its use of the model
    std::shared_ptr<HandleStore> handles;
    std::shared_ptr<Board> board;  // where budgets are lent
    uint32_t slot = wire::kNoBoardSlot;
    UniqueFd doorbell;
    UniqueFd notify;
    uint32_t tenant = 0;  // the number of whose it is
  };
  explicit Channel(Parts parts) : parts_(std::move(parts)) {}

  /// Maps a pair of regions; region 0 first.
  Result<void> add_region(uint32_t region, const UniqueFd& request, uint64_t request_bytes,
                          const UniqueFd& response, uint64_t response_bytes);

  /// Copies the next submission out. False: none is waiting, or its answer would have no place
  /// because the client has not taken earlier ones; a cancel needs none and is always taken.
  bool take(wire::Submission& submission);
  /// True when a submission may be waiting; a hint that costs one load.
  bool has_work() const;
  /// The doorbell rang, and nothing was there to run: for how long it is not to be listened to
  /// (Bell).
  uint64_t rang_in_vain();
  void heard_again();
  /// Gives the answer of a taken submission and wakes the client where it sleeps.
  void complete(const wire::Submission& submission, const Outcome& outcome);
  /// Forgets a taken submission that nobody waits for any more.
  void drop_call();
  /// A call that is cut off from its client while it runs lends nothing to it any more.
  void give_loan_back();
  /// Nothing is taken or answered any more; the client is told when `tell` is set.
  void close(bool tell);
  bool closed() const { return closed_.load(std::memory_order_acquire); }

  /// Says whether the client must ring the doorbell after submitting.
  void set_parked(bool parked);

  const std::byte* request_data(uint32_t region, uint64_t offset) const {
    return requests_[region].data() + offset;
  }
  std::byte* response_data(uint32_t region, uint64_t offset) const {
    return responses_[region].data() + offset;
  }
  /// The sizes as they are now; regions only ever come.
  wire::RegionSizes sizes() const;

  /// For a pocketd that takes this runner over.
  void describe(wire::control::RunnerChannelT& entry) const;

  uint32_t id() const { return parts_.id; }
  uint64_t session() const { return parts_.session; }
  RunnerModel& model() const { return *parts_.model; }
  bool has_model() const { return parts_.model != nullptr; }
  /// The number of the client that uses the model through this channel; 0 without a model.
  uint64_t client() const { return parts_.client == nullptr ? 0 : parts_.client->number; }
  /// What its client lends at this moment, in thousandths of a processor.
  uint32_t lent_cpu() const { return lends() ? parts_.board->lent(parts_.slot).cpu : 0; }
  HandleStore& handles() const { return *parts_.handles; }
  int doorbell() const { return parts_.doorbell.get(); }
  const Parts& parts() const { return parts_; }

  // The channel's place among those that wait; set once, before its first call.
  std::shared_ptr<Flow> flow;
  std::shared_ptr<Tenant> tenant;
  std::shared_ptr<FlowStats> tally;  // of its tenant's calls with its model; the scheduler's lock
  std::atomic<bool> has_spinner{false};  // a worker polls this ring
  std::atomic<uint32_t> calls{0};        // taken and not completed

 private:
  const wire::RequestHeader* request_header() const {
    return reinterpret_cast<const wire::RequestHeader*>(requests_[0].data());
  }
  wire::ResponseHeader* response_header() const {
    return reinterpret_cast<wire::ResponseHeader*>(responses_[0].data());
  }
  uint32_t write_table(const wire::Submission& submission, const Outcome& outcome);
  void publish(const wire::Submission& submission, const Outcome& outcome, const Board::Lent& lent);
  bool lends() const { return parts_.board != nullptr && parts_.slot != wire::kNoBoardSlot; }

  const Parts parts_;
  std::atomic<bool> closed_{false};
  // Constant once published in region_count_.
  std::array<Mapping, wire::kMaxRegions> requests_;
  std::array<Mapping, wire::kMaxRegions> responses_;
  std::atomic<uint32_t> region_count_{0};

  Mutex intake_mutex_;
  uint64_t taken_ POCKET_GUARDED_BY(intake_mutex_) = 0;  // submissions copied out
  uint64_t owed_ POCKET_GUARDED_BY(intake_mutex_) = 0;   // completions taken submissions will need
  uint64_t client_taken_ POCKET_GUARDED_BY(intake_mutex_) = 0;  // what the client says it took
  Bell bell_ POCKET_GUARDED_BY(intake_mutex_);
  Mutex completion_mutex_;
  std::atomic<uint64_t> completed_{0};  // written under completion_mutex_
  std::atomic<uint64_t> taken_hint_{0};
};

}  // namespace pocket::runner
