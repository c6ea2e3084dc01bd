// The thread of a runner that goes before the others, through the real service: who has it, and
// what it is worth to a client beside a flood.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "outcome.h"
#include "sanitized.h"
#include "service.h"

namespace pocket {
namespace {

constexpr int kBusyUs = 20'000;

std::string group_name() { return "pocket-hurry-" + std::to_string(::getpid()); }

/// Where the runner's group lies; empty: it has none, as for who is not root.
std::string runner_group() {
  for (const char* root : {"/sys/fs/cgroup/cpu/", "/sys/fs/cgroup/"}) {
    const std::filesystem::path folder = root + group_name();
    std::error_code none;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, none)) {
      if (entry.path().filename().string().starts_with("runner-")) return entry.path();
    }
  }
  return "";
}

/// Of all threads of a process, as nice(2) counts.
std::vector<int> priorities(pid_t pid) {
  std::vector<int> values;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    values.push_back(
        ::getpriority(PRIO_PROCESS, static_cast<id_t>(std::stoi(entry.path().filename()))));
  }
  return values;
}

class HurryTest : public ::testing::Test {
 protected:
  HurryTest() {
    service_.add_null_model("busy", "mode = 'none'\nbusy_us = " + std::to_string(kBusyUs) +
                                        "\n[[inputs]]\nname = 'x'\nshape = [1]\n"
                                        "[[outputs]]\nname = 'y'\nshape = [1]\n");
    // One call at a time, so that a second one must slip in.
    pocket::testing::write_file(service_.models() + "/busy/model.toml",
                                "concurrency = 1\nthreads = 1\n");
  }
  ~HurryTest() override {
    service_.stop();
    for (const char* root : {"/sys/fs/cgroup/cpu/", "/sys/fs/cgroup/"}) {
      std::error_code none;
      std::filesystem::remove(root + group_name(), none);
    }
  }
  bool start(const std::string& budget) {
    const std::string file = service_.folder() + "/pocketd.toml";
    pocket::testing::write_file(file, budget);
    return service_.start({"--config", file});
  }
  std::string with_group() const {
    return "[budget]\ncpus = 1.0\ncpu_policy = 'none'\nmem_policy = 'none'\ncgroup = '" +
           group_name() + "'\n";
  }
  ConnectOptions to_service() const { return ConnectOptions{.socket = service_.socket()}; }
  pocket::testing::TestService service_;
};

TEST_F(HurryTest, OneThreadOfARunnerWithAGroupOfItsOwn) {
  ASSERT_TRUE(start(with_group())) << service_.log();
  const Session session(to_service());
  const Model model(session, "busy");
  if (runner_group().empty()) GTEST_SKIP() << "no control group for the runner: run as root";
  const int usual = ::getpriority(PRIO_PROCESS, static_cast<id_t>(service_.pid()));
  auto values = priorities(service_.runners().at(0));
  if (*std::min_element(values.begin(), values.end()) == usual) {
    GTEST_SKIP() << "raising a priority needs CAP_SYS_NICE";
  }
  std::erase(values, usual);
  const int raised = std::max(usual - 10, -20);
  if (pocket::testing::kSanitized) {
    // Sanitizers start a thread of their own before the program does anything.
    EXPECT_EQ(std::ranges::count(values, raised), static_cast<ptrdiff_t>(values.size()));
  } else {
    EXPECT_EQ(values, std::vector<int>{raised});
  }
}

TEST_F(HurryTest, NoneWithout) {
  ASSERT_TRUE(start("[budget]\ncpu_policy = 'none'\nmem_policy = 'none'\n")) << service_.log();
  const Session session(to_service());
  const Model model(session, "busy");
  const int usual = ::getpriority(PRIO_PROCESS, static_cast<id_t>(service_.pid()));
  auto values = priorities(service_.runners().at(0));
  std::erase(values, usual);
  EXPECT_TRUE(values.empty());
}

TEST_F(HurryTest, ALightClientDoesNotWaitForCallsOfItsOwnLength) {
  ASSERT_TRUE(start(with_group())) << service_.log();
  std::atomic<uint64_t> served{0};
  const std::jthread flood([&](const std::stop_token& stop) {
    const Session session(to_service());
    const Model model(session, "busy");
    std::vector<std::unique_ptr<Call>> calls;
    for (int index = 0; index < 16; ++index) {
      calls.push_back(std::make_unique<Call>(model));
      calls.back()->input<float>(0, {1})[0] = 1.0F;
      calls.back()->submit();
    }
    for (size_t next = 0; !stop.stop_requested(); next = (next + 1) % calls.size()) {
      calls[next]->wait();
      served += 1;
      calls[next]->submit();
    }
  });
  while (served < 5) std::this_thread::yield();
  if (runner_group().empty()) GTEST_SKIP() << "no control group for the runner: run as root";
  const auto values = priorities(service_.runners().at(0));
  if (*std::ranges::min_element(values) == *std::ranges::max_element(values)) {
    GTEST_SKIP() << "raising a priority needs CAP_SYS_NICE";
  }
  const Session session(to_service());
  const Model model(session, "busy");
  Call call(model);
  call.input<float>(0, {1})[0] = 1.0F;
  constexpr int kCalls = 30;
  int at_once = 0;
  for (int count = 0; count < kCalls; ++count) {
    // Long enough that it has always had less than the flood.
    ::usleep(3 * kBusyUs);
    call.run();
    at_once += call.receipt().queue_ns < kBusyUs * uint64_t{1000} / 10 ? 1 : 0;
  }
  // One in ten where it waits for the end of the flood's call that runs.
  EXPECT_GE(at_once, kCalls / 2) << "of " << kCalls;
}

}  // namespace
}  // namespace pocket
