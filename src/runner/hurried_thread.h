// The thread that goes before the runner's others: for short calls that run beside long ones
// (docs/fairness.md).
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>

namespace pocket::runner {

/// While it can run, the processor is this thread's: it weighs some ten times what others do.
class HurriedThread {
 public:
  /// Starts it where this process was started with a priority above the `usual` one (as nice(2)
  /// counts), which only runners are that have a control group of their own: there it takes
  /// nothing from anybody else. The calling thread, and the threads that it starts from then on,
  /// have the usual one. Before any other thread, and before the list of system calls is final.
  /// None: this process's priority was not raised.
  static std::unique_ptr<HurriedThread> start(int usual);
  /// Waits until it has done its work.
  ~HurriedThread();

  /// Once: what it does.
  void run(std::function<void()> work);

 private:
  HurriedThread();

  std::promise<void> ready_;
  std::promise<std::function<void()>> work_;
  bool given_ = false;
  std::thread thread_;
};

}  // namespace pocket::runner
