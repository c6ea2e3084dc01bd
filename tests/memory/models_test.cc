// One copy of a model however it is asked for, and its memory back when nobody needs it.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "service.h"

namespace pocket {
namespace {

namespace control = wire::control;
using pocket::testing::eventually;
using pocket::testing::mappings;
using pocket::testing::Outcome;
using pocket::testing::outcome_of;
using pocket::testing::RawClient;
using pocket::testing::status_number;
using pocket::testing::succeeds;
using pocket::testing::write_file;

class ModelMemoryTest : public ::testing::Test {
 protected:
  void start() {
    ASSERT_TRUE(service_.start()) << service_.log();
    session_.emplace(ConnectOptions{.socket = service_.socket()});
  }
  /// OK, or what the service says instead.
  int32_t unload(const std::string& name, std::string* message = nullptr) {
    auto client = RawClient::greeted(service_.socket());
    control::UnloadModelT unload;
    unload.name = name;
    auto answer = client->ask(std::move(unload));
    if (!answer.ok()) return answer.error().code;
    const auto* failed = answer->body.AsFailed();
    if (failed != nullptr && message != nullptr) *message = failed->message;
    return failed == nullptr ? static_cast<int32_t>(POCKET_OK) : failed->status;
  }
  int loads() const {
    const std::string log = service_.log();
    int count = 0;
    for (size_t at = log.find("ready in runner"); at != std::string::npos;
         at = log.find("ready in runner", at + 1)) {
      ++count;
    }
    return count;
  }
  Outcome use(const std::string& name) {
    return outcome_of([&] {
      const Model model(*session_, name);
      Call call(model);
      call.input<float>(0, {10})[9] = 2;
      call.run(20 * pocket::testing::kSecond);
      EXPECT_EQ(call.output(0).values<float>()[9], 2);
    });
  }
  pocket::testing::TestService service_;
  std::optional<Session> session_;
};

TEST_F(ModelMemoryTest, UnloadGivesTheMemoryBack) {
  service_.add_null_model("echo", pocket::testing::kEcho);
  start();
  const uint64_t before = pocket::testing::own_bytes(service_.pid());
  {
    const Model model(*session_, "echo");
    ASSERT_EQ(service_.runners().size(), 1U);
    std::string message;
    EXPECT_EQ(unload("echo", &message), POCKET_FAILED_PRECONDITION);
    EXPECT_THAT(message, ::testing::HasSubstr("open in 1 channels: close them first"));
  }
  EXPECT_EQ(unload("echo"), POCKET_OK);
  EXPECT_TRUE(eventually([&] { return service_.runners().empty(); })) << "its process goes on";
  EXPECT_EQ(unload("echo"), POCKET_NOT_FOUND);
  EXPECT_LT(pocket::testing::own_bytes(service_.pid()), before + (uint64_t{1} << 20));
  EXPECT_THAT(use("echo"), succeeds());  // loaded again by itself
}

TEST_F(ModelMemoryTest, AnUnusedModelGoesAfterItsKeepAlive) {
  service_.add_null_model("echo", pocket::testing::kEcho);
  write_file(service_.models() + "/echo/model.toml", "keep_alive_seconds = 0.1\n");
  start();
  {
    const Model model(*session_, "echo");
    const auto runners = service_.runners();
    ASSERT_EQ(runners.size(), 1U);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_EQ(service_.runners(), runners) << "unloaded while it was open";
  }
  EXPECT_TRUE(eventually([&] { return service_.runners().empty(); }));
  EXPECT_THAT(use("echo"), succeeds());
  EXPECT_EQ(loads(), 2);
}

TEST_F(ModelMemoryTest, AHundredClientsThatOpenAModelAtOnceLoadItOnce) {
  // Its warm-up takes long enough for all of them to ask meanwhile.
  service_.add_null_model("slow", std::string("delay_us = 300000\n") + pocket::testing::kEcho);
  start();
  std::vector<RawClient> clients;
  for (int index = 0; index < 100; ++index) {
    auto client = RawClient::greeted(service_.socket());
    ASSERT_TRUE(client.ok()) << client.error().message;
    clients.push_back(std::move(*client));
  }
  control::OpenModelT open;
  open.name = "slow";
  for (auto& client : clients) client.say(open);
  for (auto& client : clients) {
    auto answer = client.hear();
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_NE(answer->body.AsOpened(), nullptr);
  }
  EXPECT_EQ(loads(), 1);
  EXPECT_EQ(service_.runners().size(), 1U);
}

TEST_F(ModelMemoryTest, TheSameContentsUnderTwoNamesAreOneCopy) {
  service_.add_null_model("first", pocket::testing::kEcho);
  service_.add_null_model("second", pocket::testing::kEcho);
  write_file(service_.models() + "/first/model.toml", "description = 'the first'\n");
  write_file(service_.models() + "/second/model.toml", "description = 'the second'\n");
  service_.add_null_model("other", std::string("# other bytes\n") + pocket::testing::kEcho);
  start();
  const Model first(*session_, "first");
  const Model second(*session_, "second");
  EXPECT_EQ(loads(), 1);
  EXPECT_EQ(service_.runners().size(), 1U);
  // Each is still called what its client calls it, and says what its own entry says.
  EXPECT_EQ(first.name(), "first");
  EXPECT_EQ(second.name(), "second");
  EXPECT_EQ(first.metadata("description"), "the first");
  EXPECT_EQ(second.metadata("description"), "the second");
  EXPECT_THAT(use("second"), succeeds());
  const Model other(*session_, "other");
  EXPECT_EQ(loads(), 2);
}

TEST_F(ModelMemoryTest, AGroupsRunnerKeepsNothingOfModelsThatCameAndWent) {
  service_.add_null_model("stays", pocket::testing::kEcho);
  service_.add_null_model("goes", std::string("# other bytes\n") + pocket::testing::kEcho);
  for (const char* name : {"stays", "goes"}) {
    write_file(service_.models() + "/" + name + "/model.toml", "group = 'pair'\n");
  }
  start();
  const Model stays(*session_, "stays");
  ASSERT_THAT(use("goes"), succeeds());
  ASSERT_EQ(service_.runners().size(), 1U);
  const pid_t runner = service_.runners().front();
  const uint64_t threads = status_number(runner, "Threads");
  const size_t guards = mappings(runner, "---p");
  for (int round = 0; round < 30; ++round) {
    ASSERT_EQ(unload("goes"), POCKET_OK);
    ASSERT_THAT(use("goes"), succeeds());
  }
  EXPECT_EQ(service_.runners(), std::vector<pid_t>{runner});
  EXPECT_TRUE(eventually([&] { return status_number(runner, "Threads") <= threads + 1; }));
  // A thread that was not joined keeps its stack, with a guard page below.
  EXPECT_LT(mappings(runner, "---p"), guards + 10);
  EXPECT_THAT(use("stays"), succeeds());
}

}  // namespace
}  // namespace pocket
