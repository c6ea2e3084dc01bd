#include "daemon/background.h"

namespace pocket::daemon {

Background::~Background() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Background::run(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.notify_one();
}

void Background::work() {
  MutexLock lock(mutex_);
  while (true) {
    while (!stopping_ && tasks_.empty()) changed_.wait(mutex_);
    if (stopping_) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    const MutexUnlock unlocked(mutex_);
    task();
  }
}

}  // namespace pocket::daemon
