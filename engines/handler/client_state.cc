#include "client_state.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "guarded.h"
#include "watchdog.h"

namespace pocket::handler_engine {
namespace {

// What a handler may take to begin or end with a client or a stream.
constexpr uint64_t kTurnNs = 5 * kNanosecondsPerSecond;

/// Calls the handler outside of a call.
template <typename Body>
Result<void> watched(const pocket_handler_api& api, Body body) {
  const Watchdog::Watch watch(api.name, monotonic_ns() + kTurnNs, 1, nullptr, nullptr);
  return guarded(api, std::move(body));
}

}  // namespace

Stream::~Stream() {
  (void)watched(*api_, [this](pocket_handler_error*) {
    api_->close_stream(handler_, stream_);
    return static_cast<int32_t>(POCKET_OK);
  });
}

ClientState::~ClientState() {
  {
    MutexLock lock(mutex_);
    streams_.clear();
  }
  MutexLock lock(came_mutex_);
  if (!came_ || api_->client_gone == nullptr) return;
  (void)watched(*api_, [this, client = client_](pocket_handler_error*) {
    api_->client_gone(handler_, client);
    return static_cast<int32_t>(POCKET_OK);
  });
}

Result<pocket_handler_client*> ClientState::get() {
  if (api_->client_came == nullptr) return static_cast<pocket_handler_client*>(nullptr);
  MutexLock lock(came_mutex_);
  if (!came_) {
    pocket_handler_client* client = nullptr;
    POCKET_RETURN_IF_ERROR(watched(*api_, [&](pocket_handler_error* error) {
      return api_->client_came(handler_, &client, error);
    }));
    client_ = client;
    came_ = true;
  }
  return client_;
}

Result<uint64_t> ClientState::add_stream(std::shared_ptr<Stream> stream) {
  MutexLock lock(mutex_);
  if (streams_.size() >= kMostStreams) {
    return Error{
        POCKET_RESOURCE_EXHAUSTED,
        fmt::format("the client has {} answers open that come in parts, the most: read them "
                    "to their end, or close some",
                    kMostStreams)};
  }
  const uint64_t number = next_stream_++;
  streams_.emplace(number, std::move(stream));
  return number;
}

Result<std::shared_ptr<Stream>> ClientState::find_stream(uint64_t number) {
  MutexLock lock(mutex_);
  const auto found = streams_.find(number);
  if (found != streams_.end()) return found->second;
  return Error{POCKET_NOT_FOUND,
               fmt::format("the client has no open stream {}: it has ended, or its runner was "
                           "started anew; call the method again",
                           number)};
}

void ClientState::forget_stream(uint64_t number) {
  std::shared_ptr<Stream> last;  // closed without the lock
  MutexLock lock(mutex_);
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  last = std::move(found->second);
  streams_.erase(found);
}

size_t ClientState::streams() {
  MutexLock lock(mutex_);
  return streams_.size();
}

void ClientState::hold(uint64_t number, HeldAnswer answer) {
  Held held{number, 0, std::move(answer)};
  for (const auto& output : held.answer.outputs) held.bytes += output.bytes.size();
  if (held.bytes > kMostHeldBytes) return;
  MutexLock lock(mutex_);
  while (!held_.empty() &&
         (held_.size() >= kMostHeld || held_bytes_ + held.bytes > kMostHeldBytes)) {
    held_bytes_ -= held_.front().bytes;
    held_.pop_front();
  }
  held_bytes_ += held.bytes;
  held_.push_back(std::move(held));
}

std::optional<HeldAnswer> ClientState::take_held(uint64_t number) {
  MutexLock lock(mutex_);
  const auto found = std::find_if(held_.begin(), held_.end(),
                                  [number](const Held& held) { return held.number == number; });
  if (found == held_.end()) return std::nullopt;
  HeldAnswer answer = std::move(found->answer);
  held_bytes_ -= found->bytes;
  held_.erase(found);
  return answer;
}

}  // namespace pocket::handler_engine
