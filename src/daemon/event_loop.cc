#include "daemon/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cassert>
#include <cerrno>

#include "base/clock.h"

namespace pocket::daemon {
namespace {

constexpr uint64_t kWakeToken = 0;

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  std::unique_ptr<EventLoop> loop(new EventLoop());
  loop->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_.valid()) return errno_error("epoll_create1", errno);
  loop->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_.valid()) return errno_error("eventfd", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeToken;
  if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) != 0) {
    return errno_error("epoll_ctl", errno);
  }
  return loop;
}

Result<void> EventLoop::watch(int fd, uint32_t events, Handler handler) {
  assert(!tokens_.contains(fd));
  const uint64_t token = next_token_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return errno_error("epoll_ctl add", errno);
  }
  tokens_[fd] = token;
  watches_[token] = std::make_shared<Watch>(Watch{fd, std::move(handler)});
  return ok_result();
}

void EventLoop::change(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tokens_.at(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::forget(int fd) {
  const auto found = tokens_.find(fd);
  if (found == tokens_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watches_.erase(found->second);
  tokens_.erase(found);
}

EventLoop::TimerId EventLoop::after(uint64_t delay_ns, Task task) {
  const TimerId timer = next_timer_++;
  const uint64_t due = deadline_after(delay_ns);
  timers_.emplace(std::pair(due, timer), std::move(task));
  due_times_[timer] = due;
  return timer;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = due_times_.find(timer);
  if (found == due_times_.end()) return;
  timers_.erase({found->second, timer});
  due_times_.erase(found);
}

void EventLoop::post(Task task) {
  {
    MutexLock lock(mutex_);
    posted_.push_back(std::move(task));
  }
  ::eventfd_write(wake_.get(), 1);
}

int EventLoop::next_timeout_ms() const {
  if (timers_.empty()) return -1;
  const uint64_t due = timers_.begin()->first.first;
  const uint64_t now = monotonic_ns();
  if (due <= now) return 0;
  constexpr uint64_t kMillisecond = 1'000'000;
  return static_cast<int>(
      std::min<uint64_t>((due - now + kMillisecond - 1) / kMillisecond, 3'600'000));
}

void EventLoop::run_due_timers() {
  while (!timers_.empty() && timers_.begin()->first.first <= monotonic_ns()) {
    auto node = timers_.extract(timers_.begin());
    due_times_.erase(node.key().second);
    node.mapped()();
  }
}

void EventLoop::run_posted() {
  std::vector<Task> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void EventLoop::run() {
  std::array<epoll_event, 64> events;
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), next_timeout_ms());
    for (int index = 0; index < count; ++index) {
      const uint64_t token = events[static_cast<size_t>(index)].data.u64;
      if (token == kWakeToken) continue;
      const auto found = watches_.find(token);
      if (found == watches_.end()) continue;  // forgotten by an earlier handler
      const std::shared_ptr<Watch> keep = found->second;
      keep->handler(events[static_cast<size_t>(index)].events);
    }
    run_posted();
    run_due_timers();
  }
}

}  // namespace pocket::daemon
