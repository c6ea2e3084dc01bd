// Calls through the real pocketd, a real runner and libpocket's C interface.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "pocket/pocket.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::TestService;

constexpr const char* kEcho =
    "mode = 'echo'\n"
    "[[inputs]]\nname = 'x'\ndtype = 'float32'\nshape = [-1]\n"
    "[[outputs]]\nname = 'y'\ndtype = 'float32'\nshape = [-1]\n";
constexpr const char* kEchoStrings =
    "mode = 'echo'\n"
    "[[inputs]]\nname = 'x'\ndtype = 'str'\nshape = [-1]\n"
    "[[outputs]]\nname = 'y'\ndtype = 'str'\nshape = [-1]\n";
constexpr const char* kHang =
    "mode = 'hang'\n[[inputs]]\nname='x'\ndtype='float32'\nshape=[1]\n"
    "[[outputs]]\nname='y'\ndtype='float32'\nshape=[1]\n";
constexpr const char* kShort =
    "delay_us = 5000\n[[inputs]]\nname='x'\ndtype='float32'\nshape=[1]\n"
    "[[outputs]]\nname='y'\ndtype='float32'\nshape=[1]\n";
constexpr const char* kSlow =
    "delay_us = 200000\n[[inputs]]\nname='x'\ndtype='float32'\nshape=[1]\n"
    "[[outputs]]\nname='y'\ndtype='float32'\nshape=[1]\n";

class CallsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", kEcho);
    service_.add_null_model("strings", kEchoStrings);
    service_.add_null_model("hang", kHang);
    service_.add_null_model("slow", kSlow);
    service_.add_null_model("short", kShort);
    service_.add_null_model("broken", "load_error = 'the weights are missing'\n");
    pocket::testing::write_file(service_.models() + "/hang/model.toml", "warmup = false\n");
    ASSERT_TRUE(service_.start()) << service_.log();
    ASSERT_EQ(connect(), POCKET_OK) << pocket_last_error();
  }
  void TearDown() override {
    pocket_session_close(session_);
    if (::testing::Test::HasFailure()) std::printf("%s", service_.log().c_str());
  }
  int32_t connect() {
    const std::string socket = service_.socket();
    pocket_connect_options options{};
    options.struct_size = sizeof(options);
    options.socket_path = socket.c_str();
    options.retry = 1;  // what fails is seen as it is; retry_test.cc has the rest
    return pocket_connect(&options, &session_);
  }
  pocket_model* open(const char* name) {
    pocket_model* model = nullptr;
    EXPECT_EQ(pocket_model_open(session_, name, nullptr, &model), POCKET_OK) << pocket_last_error();
    return model;
  }
  /// Sets one float input of `count` values 0, 1, 2 ... to a fresh call.
  pocket_call* filled_call(pocket_model* model, int64_t count, float first = 0) {
    pocket_call* call = nullptr;
    EXPECT_EQ(pocket_call_create(model, &call), POCKET_OK);
    fill(call, count, first);
    return call;
  }
  static void fill(pocket_call* call, int64_t count, float first) {
    pocket_tensor tensor{};
    ASSERT_EQ(pocket_call_input(call, 0, POCKET_FLOAT32, 1, &count, &tensor), POCKET_OK)
        << pocket_last_error();
    auto* values = static_cast<float*>(tensor.data);
    std::iota(values, values + count, first);
  }
  static void expect_echo(pocket_call* call, int64_t count, float first = 0) {
    pocket_tensor tensor{};
    ASSERT_EQ(pocket_call_output(call, 0, &tensor), POCKET_OK) << pocket_last_error();
    ASSERT_EQ(tensor.bytes, static_cast<size_t>(count) * sizeof(float));
    const auto* values = static_cast<const float*>(tensor.data);
    for (int64_t index = 0; index < count; index += std::max<int64_t>(count / 1000, 1)) {
      ASSERT_EQ(values[index], first + static_cast<float>(index));
    }
  }
  static constexpr uint64_t kSecond = 1'000'000'000;
  TestService service_;
  pocket_session* session_ = nullptr;
};

TEST_F(CallsTest, EchoesManySizesThroughOneCall) {
  pocket_model* model = open("echo");
  pocket_call* call = filled_call(model, 1);
  // 64 MB is far beyond the first region of a model with dynamic shapes.
  for (int64_t count : {1, 1000, 150'528, 16'777'216, 7}) {
    fill(call, count, 3);
    ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK) << pocket_last_error();
    ASSERT_EQ(pocket_call_wait(call, 60 * kSecond), POCKET_OK) << pocket_last_error();
    expect_echo(call, count, 3);
  }
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, ManyCallsInFlightAndThreads) {
  pocket_model* model = open("echo");
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<pocket_call*> calls;
      for (int index = 0; index < 16; ++index) {
        calls.push_back(filled_call(model, 100 + index, static_cast<float>(thread)));
      }
      for (int round = 0; round < 50; ++round) {
        for (auto* call : calls) ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
        for (int index = 0; index < 16; ++index) {
          auto* call = calls[static_cast<size_t>(index)];
          ASSERT_EQ(pocket_call_wait(call, 60 * kSecond), POCKET_OK) << pocket_last_error();
          expect_echo(call, 100 + index, static_cast<float>(thread));
        }
      }
      for (auto* call : calls) pocket_call_destroy(call);
    });
  }
  for (auto& thread : threads) thread.join();
  pocket_model_close(model);
}

TEST_F(CallsTest, Strings) {
  pocket_model* model = open("strings");
  pocket_call* call = nullptr;
  ASSERT_EQ(pocket_call_create(model, &call), POCKET_OK);
  const char* strings[] = {"", "a;b", "\xc3\xa9t\xc3\xa9"};
  const size_t lengths[] = {0, 3, 5};
  const int64_t shape = 3;
  ASSERT_EQ(pocket_call_input_strings(call, 0, 1, &shape, strings, lengths), POCKET_OK);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  ASSERT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK) << pocket_last_error();
  for (size_t element = 0; element < 3; ++element) {
    const char* text = nullptr;
    size_t length = 0;
    ASSERT_EQ(pocket_call_output_string(call, 0, element, &text, &length), POCKET_OK);
    EXPECT_EQ(std::string(text, length), std::string(strings[element], lengths[element]));
  }
  const char* text = nullptr;
  size_t length = 0;
  EXPECT_EQ(pocket_call_output_string(call, 0, 3, &text, &length), POCKET_NOT_FOUND);
  const int64_t none = 0;  // of no strings there is nothing to point to
  EXPECT_EQ(pocket_call_input_strings(call, 0, 1, &shape, nullptr, nullptr),
            POCKET_INVALID_ARGUMENT);
  ASSERT_EQ(pocket_call_input_strings(call, 0, 1, &none, nullptr, nullptr), POCKET_OK)
      << pocket_last_error();
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  ASSERT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK) << pocket_last_error();
  pocket_tensor empty{};
  ASSERT_EQ(pocket_call_output(call, 0, &empty), POCKET_OK) << pocket_last_error();
  EXPECT_EQ(empty.shape[0], 0);
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, KeptTensorsStayAndAreReleased) {
  pocket_model* model = open("echo");
  pocket_call* call = filled_call(model, 5, 10);
  uint64_t handle = 0;
  ASSERT_EQ(pocket_call_keep_output(call, 0, 1), POCKET_OK);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  ASSERT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK) << pocket_last_error();
  ASSERT_EQ(pocket_call_output_handle(call, 0, &handle), POCKET_OK) << pocket_last_error();
  ASSERT_EQ(pocket_call_keep_output(call, 0, 0), POCKET_OK);
  ASSERT_EQ(pocket_call_input_handle(call, 0, handle), POCKET_OK);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  ASSERT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK) << pocket_last_error();
  expect_echo(call, 5, 10);
  EXPECT_EQ(pocket_handle_release(model, handle), POCKET_OK) << pocket_last_error();
  EXPECT_EQ(pocket_handle_release(model, handle), POCKET_NOT_FOUND);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  EXPECT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_NOT_FOUND);
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, WrongModelsAndTensorsAreNamed) {
  pocket_model* model = nullptr;
  EXPECT_EQ(pocket_model_open(session_, "cat", nullptr, &model), POCKET_NOT_FOUND);
  EXPECT_NE(std::string(pocket_last_error()).find("echo"), std::string::npos);
  EXPECT_EQ(pocket_model_open(session_, "broken", nullptr, &model), POCKET_ENGINE_ERROR);
  EXPECT_NE(std::string(pocket_last_error()).find("the weights are missing"), std::string::npos);
  model = open("hang");
  pocket_call* call = nullptr;
  ASSERT_EQ(pocket_call_create(model, &call), POCKET_OK);
  pocket_tensor tensor{};
  const int64_t two = 2;
  const int64_t negative = -1;
  EXPECT_EQ(pocket_call_input(call, 0, POCKET_INT64, 1, &two, &tensor), POCKET_INVALID_ARGUMENT);
  EXPECT_STREQ(pocket_last_error(), "input 'x' must be float32, int64 was given");
  EXPECT_EQ(pocket_call_input(call, 0, POCKET_FLOAT32, 1, &two, &tensor), POCKET_INVALID_ARGUMENT);
  EXPECT_STREQ(pocket_last_error(), "input 'x' must have shape [1], [2] was given");
  EXPECT_EQ(pocket_call_input(call, 0, POCKET_FLOAT32, 1, &negative, &tensor),
            POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(pocket_call_input(call, 1, POCKET_FLOAT32, 1, &two, &tensor), POCKET_NOT_FOUND);
  EXPECT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_INVALID_ARGUMENT);
  EXPECT_STREQ(pocket_last_error(), "input 'x' is not set");
  EXPECT_EQ(pocket_call_wait(call, 0), POCKET_FAILED_PRECONDITION);
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, DeadlineAndCancel) {
  pocket::testing::write_file(service_.models() + "/slow/model.toml", "concurrency = 1\n");
  pocket_model* model = open("slow");
  pocket_call* first = filled_call(model, 1);
  pocket_call* late = filled_call(model, 1);
  pocket_call* unwanted = filled_call(model, 1);
  ASSERT_EQ(pocket_call_submit(first, POCKET_FOREVER), POCKET_OK);
  EXPECT_EQ(pocket_call_wait(first, 1), POCKET_DEADLINE_EXCEEDED);
  ASSERT_EQ(pocket_call_submit(late, 1'000'000), POCKET_OK);
  ASSERT_EQ(pocket_call_submit(unwanted, POCKET_FOREVER), POCKET_OK);
  EXPECT_EQ(pocket_call_cancel(unwanted), POCKET_OK);
  EXPECT_EQ(pocket_call_wait(unwanted, 10 * kSecond), POCKET_CANCELLED);
  EXPECT_EQ(pocket_call_wait(first, 10 * kSecond), POCKET_OK);
  // `late` was queued behind `first`: the runner did not start it.
  pocket_session_poll(session_, nullptr);
  EXPECT_EQ(pocket_call_wait(late, 10 * kSecond), POCKET_DEADLINE_EXCEEDED);
  for (auto* call : {first, late, unwanted}) pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, FullRingIsBusyAndRetryable) {
  pocket_model* model = open("short");
  std::vector<pocket_call*> calls;
  // Some are answered while others are submitted: how many depends on the machine.
  while (calls.size() < 1000) {
    calls.push_back(filled_call(model, 1));
    const int32_t status = pocket_call_submit(calls.back(), POCKET_FOREVER);
    if (status == POCKET_BUSY) break;
    ASSERT_EQ(status, POCKET_OK) << pocket_last_error();
  }
  pocket_call* refused = calls.back();
  calls.pop_back();
  EXPECT_GE(calls.size(), 256U);
  EXPECT_LT(calls.size(), 999U) << "256 calls in flight are the most";
  EXPECT_EQ(pocket_status_is_retryable(POCKET_BUSY), 1);
  for (auto* call : calls) EXPECT_EQ(pocket_call_wait(call, 60 * kSecond), POCKET_OK);
  EXPECT_EQ(pocket_call_submit(refused, POCKET_FOREVER), POCKET_OK) << pocket_last_error();
  EXPECT_EQ(pocket_call_wait(refused, 20 * kSecond), POCKET_OK);
  pocket_call_destroy(refused);
  for (auto* call : calls) pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, KilledRunnerFailsItsCallsOnlyAndComesBack) {
  pocket_model* other = open("echo");
  const std::vector<pid_t> before = service_.runners();
  pocket_model* model = open("hang");
  pid_t victim = -1;
  for (pid_t pid : service_.runners()) {
    if (std::find(before.begin(), before.end(), pid) == before.end()) victim = pid;
  }
  ASSERT_GT(victim, 0);
  pocket_call* call = filled_call(model, 1);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  EXPECT_EQ(pocket_call_wait(call, 10'000'000), POCKET_DEADLINE_EXCEEDED);
  ::kill(victim, SIGKILL);
  EXPECT_EQ(pocket_call_wait(call, 20 * kSecond), POCKET_UNAVAILABLE);
  EXPECT_EQ(pocket_status_is_retryable(POCKET_UNAVAILABLE), 1);
  pocket_call* steady = filled_call(other, 4);
  ASSERT_EQ(pocket_call_submit(steady, POCKET_FOREVER), POCKET_OK);
  EXPECT_EQ(pocket_call_wait(steady, 10 * kSecond), POCKET_OK) << pocket_last_error();
  fill(call, 1, 0);  // opens the model anew
  EXPECT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK) << pocket_last_error();
  EXPECT_EQ(service_.runners().size(), 2U);
  pocket_call_destroy(steady);
  // The hanging call never ends: its runner goes with the service.
  ::kill(service_.runners().back(), SIGKILL);
  pocket_call_destroy(call);
  pocket_model_close(model);
  pocket_model_close(other);
}

TEST_F(CallsTest, ServiceThatComesBackIsFoundAgain) {
  pocket_model* model = open("echo");
  pocket_call* call = filled_call(model, 3);
  EXPECT_EQ(service_.stop(), 0);
  EXPECT_NE(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  ASSERT_TRUE(service_.start());
  fill(call, 3, 1);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK) << pocket_last_error();
  ASSERT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK) << pocket_last_error();
  expect_echo(call, 3, 1);
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, ChildOfForkIsRefusedAndParentGoesOn) {
  pocket_model* model = open("echo");
  pocket_call* call = filled_call(model, 3);
  const pid_t child = ::fork();
  if (child == 0) {
    pocket_model* again = nullptr;
    const bool refused =
        pocket_call_submit(call, POCKET_FOREVER) == POCKET_FAILED_PRECONDITION &&
        pocket_model_open(session_, "echo", nullptr, &again) == POCKET_FAILED_PRECONDITION;
    pocket_call_destroy(call);
    pocket_model_close(model);
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
  ASSERT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK);
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, DescriptorForAnEventLoop) {
  pocket_model* model = open("echo");
  int fd = -1;
  ASSERT_EQ(pocket_session_fd(session_, &fd), POCKET_OK);
  pocket_call* call = filled_call(model, 3);
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
    pollfd entry{fd, POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
    uint32_t finished = 0;
    ASSERT_EQ(pocket_session_poll(session_, &finished), POCKET_OK);
    EXPECT_EQ(finished, 1U);
    EXPECT_EQ(pocket_call_done(call), 1);
    ASSERT_EQ(pocket_call_wait(call, 0), POCKET_OK);
  }
  pocket_call_destroy(call);
  pocket_model_close(model);
}

TEST_F(CallsTest, KilledClientLeavesNothing) {
  const pid_t child = ::fork();
  if (child == 0) {
    session_ = nullptr;
    if (connect() != POCKET_OK) ::_exit(1);
    pocket_model* model = open("slow");
    pocket_call* call = filled_call(model, 1);
    (void)pocket_call_submit(call, POCKET_FOREVER);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  // The runner lets go of the regions as soon as the call that ran has ended.
  const pid_t runner = service_.runners().front();
  const auto regions = [&] {
    std::ifstream maps("/proc/" + std::to_string(runner) + "/maps");
    const std::string text{std::istreambuf_iterator<char>(maps), {}};
    return text.find("pocket-request") != std::string::npos;
  };
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (regions() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_FALSE(regions());
}

TEST_F(CallsTest, EndsCleanlyAndRefusesASecondService) {
  TestService second;
  EXPECT_FALSE(second.start({"--socket", service_.socket()}));
  EXPECT_NE(second.log().find("pocketd: "), std::string::npos);
  pocket_model* model = open("echo");
  const std::vector<pid_t> runners = service_.runners();
  ASSERT_EQ(runners.size(), 1U);
  EXPECT_EQ(service_.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(service_.socket()));
  EXPECT_NE(::kill(runners[0], 0), 0);
  pocket_model_close(model);
  pocket_session* session = nullptr;
  std::swap(session, session_);
  EXPECT_EQ(connect(), POCKET_NOT_FOUND);
  EXPECT_NE(std::string(pocket_last_error()).find("pocket service run"), std::string::npos);
  pocket_session_close(session);
}

TEST_F(CallsTest, FullLogDiskDoesNotStopTheService) {
  service_.stop();
  ASSERT_TRUE(service_.start({"--log-file", "/dev/full"}));
  pocket_model* model = open("echo");
  pocket_call* call = filled_call(model, 3);
  ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK) << pocket_last_error();
  EXPECT_EQ(pocket_call_wait(call, 10 * kSecond), POCKET_OK);
  pocket_call_destroy(call);
  pocket_model_close(model);
}

}  // namespace
}  // namespace pocket
