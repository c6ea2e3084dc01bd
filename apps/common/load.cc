#include "common/load.h"

#include <cmath>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <thread>

#include "pocket/dtype.h"

namespace pocket::apps {
namespace {

void sleep_until(uint64_t due_ns) {
  timespec due{};
  due.tv_sec = static_cast<time_t>(due_ns / kNanosecondsPerSecond);
  due.tv_nsec = static_cast<long>(due_ns % kNanosecondsPerSecond);
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) == EINTR) {
  }
}

void add(CallTimes& times, double call_ms, const Inference& inference) {
  times.calls.push_back(call_ms);
  if (const auto cost = inference.cost()) {
    times.queue.push_back(cost->queue_ms);
    times.compute.push_back(cost->compute_ms);
  }
}

CallTimes closed_loop(Inference& inference, const Load& load) {
  CallTimes times;
  const uint64_t start_ns = monotonic_ns();
  while (load.seconds > 0 ? ms_since(start_ns) < load.seconds * 1e3
                          : times.calls.size() < static_cast<size_t>(load.calls)) {
    const uint64_t call_ns = monotonic_ns();
    inference.run();
    add(times, ms_since(call_ns), inference);
  }
  return times;
}

CallTimes open_loop(Inference& inference, const Load& load) {
  CallTimes times;
  std::mt19937_64 random(load.seed);
  const uint64_t start_ns = monotonic_ns();
  double due_s = 0;
  while (true) {
    // The pause between two arrivals of a Poisson process, from a uniform number in (0, 1]; written
    // out so that a seed means the same moments with every standard library.
    const double uniform = static_cast<double>((random() >> 11) + 1) * 0x1p-53;
    due_s += -std::log(uniform) / load.rate;
    if (due_s >= load.seconds) return times;
    const uint64_t due_ns = start_ns + static_cast<uint64_t>(due_s * 1e9);
    sleep_until(due_ns);
    inference.run();
    add(times, ms_since(due_ns), inference);
  }
}

CallTimes calls_of_one(Inference& inference, const Load& load) {
  return load.rate > 0 ? open_loop(inference, load) : closed_loop(inference, load);
}

void copy_inputs(Inference& from, Inference& to) {
  for (uint32_t index = 0; index < from.input_count(); ++index) {
    const std::vector<int64_t> shape = from.input_shape(index);
    size_t bytes = pocket_dtype_size(from.input_dtype(index));
    for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
    std::memcpy(to.resize_input(index, shape), from.input(index), bytes);
  }
}

}  // namespace

CallTimes timed_calls(Inference& inference, const Load& load, unsigned parallel) {
  std::vector<std::unique_ptr<Inference>> others;
  for (unsigned index = 1; index < parallel; ++index) {
    others.push_back(inference.another());
    copy_inputs(inference, *others.back());
    for (int call = 0; call < load.warm_up + 1; ++call) others.back()->run();
  }
  std::vector<CallTimes> times(others.size());
  std::vector<std::jthread> threads;
  for (size_t index = 0; index < others.size(); ++index) {
    Load own = load;
    own.seed += index + 1;
    threads.emplace_back([&, own, index] { times[index] = calls_of_one(*others[index], own); });
  }
  CallTimes all = calls_of_one(inference, load);
  threads.clear();
  for (const auto& part : times) {
    all.calls.insert(all.calls.end(), part.calls.begin(), part.calls.end());
    all.queue.insert(all.queue.end(), part.queue.begin(), part.queue.end());
    all.compute.insert(all.compute.end(), part.compute.begin(), part.compute.end());
  }
  return all;
}

uint64_t processor_time_ns() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * kNanosecondsPerSecond +
         static_cast<uint64_t>(used.tv_nsec);
}

}  // namespace pocket::apps
