// A client that asks for all it can get, beside one that asks for little: through the real service,
// told by what each of them got, not by how long it took.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "null_models.h"
#include "outcome.h"
#include "service.h"

namespace pocket {
namespace {

/// `busy_us` of processor time for each call.
std::string busy_model(int busy_us) {
  return "mode = 'none'\nbusy_us = " + std::to_string(busy_us) +
         "\n[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
         "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [1]\n";
}

/// Keeps 64 calls in flight until it is destroyed.
class Flood {
 public:
  Flood(const ConnectOptions& options, const std::string& name)
      : thread_([this, options, name](const std::stop_token& stop) {
          const Session session(options);
          const Model model(session, name);
          std::vector<std::unique_ptr<Call>> calls;
          for (int index = 0; index < 64; ++index) {
            calls.push_back(std::make_unique<Call>(model));
            std::ranges::fill(calls.back()->input<float>(0, {5000}), 1.0F);
            calls.back()->submit();
          }
          while (!stop.stop_requested()) {
            for (auto& call : calls) {
              if (stop.stop_requested()) break;
              call->wait();
              served_ += 1;
              processor_ns_ += call->receipt().cpu_ns;
              call->submit();
            }
          }
        }) {}
  uint64_t served() const { return served_.load(); }
  uint64_t processor_ns() const { return processor_ns_.load(); }

 private:
  std::atomic<uint64_t> served_{0};
  std::atomic<uint64_t> processor_ns_{0};
  std::jthread thread_;  // last: ends first
};

class FairnessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto add = [this](const std::string& name, int busy_us) {
      service_.add_null_model(name, busy_model(busy_us));
      // One runner for both, which runs one call at a time.
      pocket::testing::write_file(service_.models() + "/" + name + "/model.toml",
                                  "group = 'both'\nconcurrency = 1\nthreads = 1\n");
    };
    add("short", 2000);
    add("long", 20000);
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  ConnectOptions to_service() const { return ConnectOptions{.socket = service_.socket()}; }
  pocket::testing::TestService service_;
};

TEST_F(FairnessTest, ReceiptSaysWhatACallCost) {
  const Session session(to_service());
  const Model model(session, "long");
  Call call(model);
  std::ranges::fill(call.input<float>(0, {1000}), 1.0F);
  call.run();
  const pocket_receipt receipt = call.receipt();
  EXPECT_GE(receipt.compute_ns, 20'000'000U);
  // By the thread's own clock: a part of compute_ns where others had the processor meanwhile.
  EXPECT_GT(receipt.cpu_ns, 0U);
  EXPECT_LE(receipt.cpu_ns, 2 * receipt.compute_ns);
  EXPECT_EQ(receipt.bytes_in, 4000U);
  EXPECT_EQ(receipt.bytes_out, 4U);
  EXPECT_EQ(receipt.lent_cpu, 0U);
  EXPECT_EQ(receipt.retry_after_us, 0U);
}

TEST_F(FairnessTest, FloodOfTheSameModelIsServedInTurns) {
  const Flood flood(to_service(), "short");
  const Session session(to_service());
  const Model model(session, "short");
  Call call(model);
  std::ranges::fill(call.input<float>(0, {1}), 1.0F);
  call.run();
  while (flood.served() < 10) std::this_thread::yield();
  const uint64_t before = flood.served();
  constexpr int kCalls = 40;
  for (int count = 0; count < kCalls; ++count) call.run();
  // One or two of the flood's for each of ours, not the 64 that wait; more only while this process
  // is kept from making its next call.
  const uint64_t served = flood.served() - before;
  RecordProperty("flood_calls", static_cast<int>(served));
  EXPECT_LE(served, 10U * kCalls);
  EXPECT_GE(served, kCalls / 4U);
}

TEST_F(FairnessTest, FloodOfALongModelDoesNotHoldUpShortCalls) {
  const Flood flood(to_service(), "long");
  const Session session(to_service());
  const Model model(session, "short");
  Call call(model);
  std::ranges::fill(call.input<float>(0, {1}), 1.0F);
  call.run();
  while (flood.served() < 5) std::this_thread::yield();
  const uint64_t before = flood.processor_ns();
  uint64_t ours = 0;
  for (int count = 0; count < 60; ++count) {
    call.run();
    ours += call.receipt().cpu_ns;
  }
  // By calls in turns the flood would have ten times as much.
  EXPECT_LE(flood.processor_ns() - before, 5 * ours + 40'000'000);
}

}  // namespace
}  // namespace pocket
