// A thread for work that would hold up the loop, such as reading a large model file.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace pocket::daemon {

/// Runs tasks one after the other on a thread that starts with the first one. run() may be called
/// from one thread; the destructor waits for the task that runs and drops the others.
class Background {
 public:
  ~Background();
  void run(std::function<void()> task);

 private:
  void work();
  Mutex mutex_;
  Condition changed_;
  std::deque<std::function<void()>> tasks_ POCKET_GUARDED_BY(mutex_);
  bool stopping_ POCKET_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pocket::daemon
