// The single thread of pocketd: descriptors, timers and work posted by helpers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::daemon {

/// An epoll loop. All functions belong to the loop's thread, except post().
class EventLoop {
 public:
  using Handler = std::function<void(uint32_t events)>;
  using Task = std::function<void()>;
  using TimerId = uint64_t;

  static Result<std::unique_ptr<EventLoop>> create();

  /// Calls `handler` whenever `fd` has any of `events` (EPOLLIN, ...). One handler per descriptor.
  Result<void> watch(int fd, uint32_t events, Handler handler);
  void change(int fd, uint32_t events);
  /// After this the handler is not called again, not even for events already seen.
  void forget(int fd);

  TimerId after(uint64_t delay_ns, Task task);
  void cancel(TimerId timer);

  /// Runs `task` on the loop's thread soon. Any thread.
  void post(Task task);

  /// Runs until stop().
  void run();
  void stop() { stopping_ = true; }

 private:
  struct Watch {
    int fd;
    Handler handler;
  };
  EventLoop() = default;
  int next_timeout_ms() const;
  void run_due_timers();
  void run_posted();

  UniqueFd epoll_;
  UniqueFd wake_;
  bool stopping_ = false;
  uint64_t next_token_ = 1;
  uint64_t next_timer_ = 1;
  std::unordered_map<int, uint64_t> tokens_;  // by descriptor
  // By token, so that an event of a closed descriptor never reaches its number's next owner.
  std::unordered_map<uint64_t, std::shared_ptr<Watch>> watches_;
  std::map<std::pair<uint64_t, TimerId>, Task> timers_;  // by due time
  std::unordered_map<TimerId, uint64_t> due_times_;
  Mutex mutex_;
  std::vector<Task> posted_ POCKET_GUARDED_BY(mutex_);
};

}  // namespace pocket::daemon
