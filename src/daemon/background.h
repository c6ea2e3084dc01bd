// A thread for work that would hold up the loop, such as reading a large model file.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pocket::daemon {

/// Runs tasks one after the other on a thread that starts with the first one. run() may be called
/// from one thread; the destructor waits for the task that runs and drops the others.
class Background {
 public:
  ~Background();
  void run(std::function<void()> task);

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace pocket::daemon
