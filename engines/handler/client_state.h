// What a handler keeps for one client: its own state, open streams, answers that did not fit yet.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "pocket/handler.h"

namespace pocket::handler_engine {

/// An answer as bytes: output by output.
struct HeldAnswer {
  struct Output {
    uint32_t index = 0;
    int32_t dtype = 0;
    int32_t rank = 0;
    int64_t shape[POCKET_MAX_RANK] = {};
    std::vector<std::byte> bytes;
  };
  std::vector<Output> outputs;
};

/// One open stream, which is closed with it. Any thread; who pulls from it sets `busy`.
class Stream {
 public:
  Stream(const pocket_handler_api* api, pocket_handler* handler, pocket_handler_stream* stream,
         uint32_t method)
      : api_(api), handler_(handler), stream_(stream), method_(method) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  pocket_handler_stream* get() const { return stream_; }
  uint32_t method() const { return method_; }
  std::atomic<bool> busy{false};

 private:
  const pocket_handler_api* api_;
  pocket_handler* handler_;
  pocket_handler_stream* const stream_;
  const uint32_t method_;
};

/// Any thread. Destroyed when no call of the client runs.
class ClientState {
 public:
  static constexpr size_t kMostStreams = 64;
  static constexpr size_t kMostHeld = 16;
  static constexpr uint64_t kMostHeldBytes = 256 << 20;

  ClientState(const pocket_handler_api* api, pocket_handler* handler)
      : api_(api), handler_(handler) {}
  ClientState(const ClientState&) = delete;
  ClientState& operator=(const ClientState&) = delete;
  ~ClientState();

  /// The handler's own, made by the first call.
  Result<pocket_handler_client*> get();

  /// RESOURCE_EXHAUSTED when the client has too many open.
  Result<uint64_t> add_stream(std::shared_ptr<Stream> stream);
  /// NOT_FOUND: it has ended, or never was.
  Result<std::shared_ptr<Stream>> find_stream(uint64_t number);
  void forget_stream(uint64_t number);
  size_t streams();

  /// Keeps the answer to call `number` for when it is asked for again, with more room.
  void hold(uint64_t number, HeldAnswer answer);
  std::optional<HeldAnswer> take_held(uint64_t number);

 private:
  struct Held {
    uint64_t number = 0;
    uint64_t bytes = 0;
    HeldAnswer answer;
  };
  const pocket_handler_api* api_;
  pocket_handler* handler_;
  Mutex came_mutex_;
  bool came_ POCKET_GUARDED_BY(came_mutex_) = false;
  pocket_handler_client* client_ POCKET_GUARDED_BY(came_mutex_) = nullptr;
  Mutex mutex_;
  uint64_t next_stream_ POCKET_GUARDED_BY(mutex_) = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Stream>> streams_ POCKET_GUARDED_BY(mutex_);
  std::deque<Held> held_ POCKET_GUARDED_BY(mutex_);
  uint64_t held_bytes_ POCKET_GUARDED_BY(mutex_) = 0;
};

}  // namespace pocket::handler_engine
