#include "elastic.h"

#include <dlfcn.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <mutex>
#include <semaphore>
#include <vector>

namespace pocket::openvino_engine {
namespace {

std::atomic<int> slots{1};
std::atomic<int> most{INT_MAX};  // threads that may compute

/// Keeps TBB's workers from helping: each parked one sleeps in a task of its own, which costs
/// nothing. (Limiting TBB's parallelism instead leaves a thread spinning.)
class Parking {
 public:
  Parking()
      : workers_(static_cast<int>(tbb::global_control::active_value(
                     tbb::global_control::max_allowed_parallelism)) -
                 1) {
    if (workers_ > 0) arena_.initialize(workers_, 0, tbb::task_arena::priority::high);
  }

  void change(int by) {
    std::lock_guard lock(mutex_);
    calls_ += by;
    const int threads = std::min(slots.load(), most.load());
    // While nothing runs all of them sleep here, so that the next call wakes them before it has
    // work for them: woken by that work, a helper often waits milliseconds for its processor,
    // behind the thread that woke it (docs/adr/0001-elastic-threads.md).
    told_ = told_ || by != 0;
    const int helpers = told_ && calls_ == 0 ? 0 : std::max(threads - std::max(calls_, 1), 0);
    target_ = std::max(workers_ - helpers, 0);
    for (; parked() + coming_ < target_; ++coming_) arena_.enqueue([this] { park(); });
    while (parked() > target_) {
      sleepers_.back()->release();
      sleepers_.pop_back();
    }
  }

 private:
  int parked() const { return static_cast<int>(sleepers_.size()); }

  void park() {
    std::binary_semaphore wake{0};
    {
      std::lock_guard lock(mutex_);
      coming_ -= 1;
      if (parked() >= target_) return;
      sleepers_.push_back(&wake);
    }
    wake.acquire();
    const std::lock_guard lock(mutex_);  // whoever woke this thread is done with `wake`
  }

  const int workers_;
  tbb::task_arena arena_;
  std::mutex mutex_;
  int calls_ = 0;      // guarded by mutex_
  bool told_ = false;  // guarded by mutex_: the host tells how many calls run
  int target_ = 0;     // guarded by mutex_: how many shall sleep
  int coming_ = 0;     // guarded by mutex_: on their way
  std::vector<std::binary_semaphore*> sleepers_;  // guarded by mutex_
};

Parking& parking() {
  static auto* instance = new Parking();  // never destroyed: workers may sleep in it to the end
  return *instance;
}

/// Gives access to the number of slots an arena is about to be made with.
struct OpenArena : tbb::detail::d1::task_arena_base {
  static int& slots_of(tbb::detail::d1::task_arena_base& arena) {
    return arena.*(&OpenArena::my_max_concurrency);
  }
};

}  // namespace

void let_streams_use(uint32_t threads) {
  slots.store(static_cast<int>(threads));
  parking().change(0);
}

void running_calls_changed(uint32_t before, uint32_t now) {
  if (before != now) parking().change(static_cast<int>(now) - static_cast<int>(before));
}

void limit_threads(uint32_t threads) {
  most.store(threads == 0 ? INT_MAX : static_cast<int>(threads));
  parking().change(0);
}

}  // namespace pocket::openvino_engine

// OpenVINO divides the threads among a model's streams once and for all, and gives each stream an
// arena with that many slots. This function stands before TBB's own in the search order of the
// libraries that are loaded with this plugin, and makes those arenas wider: whoever runs alone has
// all threads. It is part of TBB's binary interface (used by its public headers).
namespace tbb::detail::r1 {

__attribute__((visibility("default"))) void initialize(d1::task_arena_base& arena) {
  using Function = void (*)(d1::task_arena_base&);
  static const auto original = reinterpret_cast<Function>(
      ::dlsym(RTLD_NEXT, "_ZN3tbb6detail2r110initializeERNS0_2d115task_arena_baseE"));
  int& slots = pocket::openvino_engine::OpenArena::slots_of(arena);
  if (slots == 1) slots = std::max(pocket::openvino_engine::slots.load(), 1);
  original(arena);
}

}  // namespace tbb::detail::r1
