// Clients that break the rules: each is dropped or bounded, and a client beside it notices nothing.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "base/mapping.h"
#include "ipc/region.h"
#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "ring_client.h"
#include "sanitized.h"
#include "service.h"
#include "wire/layout.h"

namespace pocket {
namespace {

namespace control = wire::control;
using pocket::testing::cpu_ns;
using pocket::testing::eventually;
using pocket::testing::fd_count;
using pocket::testing::RawClient;
using pocket::testing::RingClient;
using pocket::testing::service_status;
using pocket::testing::settled_fd_count;

class HostileClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", pocket::testing::kEcho);
    service_.add_null_model("long", std::string("delay_us = 1500000\n") + pocket::testing::kEcho);
    const std::string config = service_.folder() + "/pocketd.toml";
    pocket::testing::write_file(config,
                                "[service]\ndrain_seconds = 0.1\n[limits]\n"
                                "patience_seconds = 0.3\nchannels_per_session = 8\n");
    ASSERT_TRUE(service_.start({"--config", config})) << service_.log();
    session_.emplace(ConnectOptions{.socket = service_.socket(), .reconnect = false});
    model_.emplace(*session_, "echo");
    call_.emplace(*model_);
    others_go_on();
  }
  /// The well-behaved client beside, in its old session: a call, and a control request.
  void others_go_on() {
    call_->input<float>(0, {4})[2] = 5;
    call_->run(20 * pocket::testing::kSecond);
    EXPECT_EQ(call_->output(0).values<float>()[2], 5);
    const Model again(*session_, "echo");
  }
  /// That the service has hung up on this client.
  static void expect_dropped(RawClient& client) {
    Result<control::MessageT> heard = client.hear();
    while (heard.ok()) heard = client.hear();
    EXPECT_EQ(heard.error().code, POCKET_UNAVAILABLE) << heard.error().message;
  }
  RawClient greeted() const { return std::move(RawClient::greeted(service_.socket())).value(); }

  pocket::testing::TestService service_;
  std::optional<Session> session_;
  std::optional<Model> model_;
  std::optional<Call> call_;
};

TEST_F(HostileClientTest, RandomBytesDropTheirSenderOnly) {
  std::mt19937 random(7);
  for (size_t size : {1, 4, 7, 8, 64, 1000, 60'000}) {
    RawClient client = greeted();
    std::vector<uint8_t> bytes(size);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
    ASSERT_TRUE(ipc::send_packet(client.fd(), bytes).ok());
    expect_dropped(client);
  }
  others_go_on();
}

TEST_F(HostileClientTest, HalfAndAlteredMessagesDropTheirSenderOnly) {
  control::OpenModelT open;
  open.name = "echo";
  const auto whole = wire::encode_message(9, std::move(open));
  for (size_t size = 4; size < whole.size(); size += 4) {
    RawClient client = greeted();
    ASSERT_TRUE(ipc::send_packet(client.fd(), std::span(whole).first(size)).ok());
    expect_dropped(client);
  }
  std::mt19937 random(11);
  for (int round = 0; round < 100; ++round) {
    auto altered = whole;
    altered[random() % altered.size()] ^= static_cast<uint8_t>(1U << (random() % 8));
    RawClient client = greeted();
    ASSERT_TRUE(ipc::send_packet(client.fd(), altered).ok());
  }
  others_go_on();
}

TEST_F(HostileClientTest, HugePacketsAndManyDescriptorsDropTheirSenderOnly) {
  const size_t before = settled_fd_count(service_.pid());
  RawClient huge = greeted();
  const std::vector<char> bytes(200'000, 'x');  // near what a socket's buffer takes
  ASSERT_EQ(::send(huge.fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  expect_dropped(huge);

  RawClient many = greeted();
  constexpr size_t kMany = 100;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMany * sizeof(int))> buffer{};
  char byte = 1;
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = buffer.data();
  message.msg_controllen = buffer.size();
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(kMany * sizeof(int));
  const std::vector<int> fds(kMany, many.fd());
  std::memcpy(CMSG_DATA(head), fds.data(), kMany * sizeof(int));
  ASSERT_EQ(::sendmsg(many.fd(), &message, 0), 1);
  expect_dropped(many);
  EXPECT_TRUE(eventually([&] { return fd_count(service_.pid()) <= before; }));
  others_go_on();
}

TEST_F(HostileClientTest, ARequestBeforeHelloIsRefused) {
  RawClient client = std::move(RawClient::connect(service_.socket())).value();
  auto answer = client.ask(control::GetStatusT{});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_NE(answer->body.AsFailed(), nullptr);
  EXPECT_EQ(answer->body.AsFailed()->status, POCKET_FAILED_PRECONDITION);
  expect_dropped(client);
}

TEST_F(HostileClientTest, AClientThatNeverSaysHelloIsDropped) {
  RawClient client = std::move(RawClient::connect(service_.socket())).value();
  auto answer = client.hear();
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  ASSERT_NE(answer->body.AsFailed(), nullptr);
  EXPECT_EQ(answer->body.AsFailed()->status, POCKET_DEADLINE_EXCEEDED);
  expect_dropped(client);
  others_go_on();  // has been silent as long, after its Hello
}

TEST_F(HostileClientTest, AClientThatReadsNothingIsBoundedAndDropped) {
  RawClient client = greeted();
  const auto memory = pocket::testing::own_bytes(service_.pid());
  const timeval patience{5, 0};
  ::setsockopt(client.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const auto packet = wire::encode_message(1, control::ListModelsT{});
  // Until the service reads no more of it, and then until it has hung up.
  Result<void> sent;
  for (int count = 0; count < 1'000'000 && sent.ok(); ++count) {
    sent = ipc::send_packet(client.fd(), packet);
  }
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, POCKET_UNAVAILABLE) << sent.error().message;
  if (!pocket::testing::kSanitized) {
    EXPECT_LT(pocket::testing::own_bytes(service_.pid()), memory + (uint64_t{2} << 20));
  }
  others_go_on();
}

TEST_F(HostileClientTest, OpensThatWaitAreCounted) {
  RawClient client = greeted();
  control::OpenModelT open;
  open.name = "long";  // all of them wait for one load
  constexpr int kOpens = 100;
  for (int count = 0; count < kOpens; ++count) client.say(open);
  int refused = 0;
  int opened = 0;
  for (int count = 0; count < kOpens; ++count) {
    auto answer = client.hear();
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    if (const auto* failed = answer->body.AsFailed()) {
      EXPECT_EQ(failed->status, POCKET_RESOURCE_EXHAUSTED);
      EXPECT_THAT(failed->message, ::testing::HasSubstr("limits.channels_per_session"));
      ++refused;
    } else {
      opened += answer->body.AsOpened() != nullptr ? 1 : 0;
    }
  }
  EXPECT_EQ(opened, 8);
  EXPECT_EQ(refused, kOpens - 8);
}

TEST_F(HostileClientTest, InventedEngineNamesLeaveNothingBehind) {
  RawClient client = greeted();
  for (int count = 0; count < 300; ++count) {
    control::OpenModelT open;
    open.name = "echo";
    open.engine = "nul" + std::string(static_cast<size_t>(count), 'l');
    // A null model is always the null engine's: the name is not even looked at.
    auto answer = client.ask(open);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    if (const auto* opened = answer->body.AsOpened()) {
      control::CloseChannelT close;
      close.channel = opened->channel;
      ASSERT_TRUE(client.ask(close).ok());
    }
  }
  EXPECT_EQ(service_.runners().size(), 1U);
}

TEST_F(HostileClientTest, AClientThatTakesNoAnswersKeepsNoProcessorBusy) {
  RingClient client(greeted());
  client.submit(wire::kRingSlots);
  ASSERT_TRUE(eventually([&] { return client.answers()->completed.load() == wire::kRingSlots; }));
  client.submit(wire::kRingSlots);  // there is no room for their answers
  others_go_on();
  const pid_t runner = service_.runners().front();
  const uint64_t before = cpu_ns(runner);
  constexpr uint64_t kWatchedNs = 300'000'000;
  std::this_thread::sleep_for(std::chrono::nanoseconds(kWatchedNs));
  EXPECT_LT(cpu_ns(runner) - before, kWatchedNs / 5) << "a worker goes round and round";
  EXPECT_EQ(client.answers()->completed.load(), wire::kRingSlots);
  client.header()->completions_taken.store(wire::kRingSlots);
  client.ring();
  EXPECT_TRUE(
      eventually([&] { return client.answers()->completed.load() == 2 * wire::kRingSlots; }));
}

TEST_F(HostileClientTest, ADoorbellThatMakesItsRingerWaitStopsNobody) {
  // More of them than the runner has threads. A full ring is more than is taken at once.
  std::vector<std::unique_ptr<RingClient>> clients;
  for (int count = 0; count < 6; ++count) {
    clients.push_back(std::make_unique<RingClient>(greeted()));
    clients.back()->publish(wire::kRingSlots);
    clients.back()->fill_doorbell();
  }
  for (int round = 0; round < 20; ++round) {
    others_go_on();
    for (const auto& client : clients) {
      EXPECT_TRUE(eventually([&] {
        return client->header()->submitted.load() == client->answers()->completed.load();
      }));
      client->header()->completions_taken.store(client->answers()->completed.load());
      client->publish(wire::kRingSlots);
      client->drain_doorbell();
      client->fill_doorbell();
    }
  }
}

TEST_F(HostileClientTest, ImpossibleCountersBreakTheirChannelOnly) {
  for (const bool taken : {false, true}) {
    RingClient client(greeted());
    (taken ? client.header()->completions_taken : client.header()->submitted).store(1'000'000);
    if (taken) client.submit(1);
    client.ring();
    EXPECT_TRUE(eventually([&] { return client.answers()->state.load() == wire::kChannelBroken; }));
  }
  others_go_on();
}

}  // namespace
}  // namespace pocket
