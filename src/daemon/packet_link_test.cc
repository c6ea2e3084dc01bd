#include "daemon/packet_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/clock.h"

namespace pocket::daemon {
namespace {

namespace control = wire::control;

/// About 8 kB: a socket's buffer takes a few dozen of them.
std::vector<uint8_t> large_packet(uint64_t id) {
  control::FailedT failed;
  failed.message = std::string(8000, 'x');
  return wire::encode_message(id, std::move(failed));
}

/// What an epoll set of this process waits for on a descriptor, as the kernel tells.
uint32_t watched_events(int fd) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      int watched = -1;
      uint32_t events = 0;
      if (std::sscanf(line.c_str(), "tfd: %d events: %x", &watched, &events) == 2 &&
          watched == fd) {
        return events;
      }
    }
  }
  return 0;
}

class PacketLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = EventLoop::create();
    ASSERT_TRUE(created.ok()) << created.error().message;
    loop_ = std::move(created).value();
    auto pair = ipc::control_pair();
    ASSERT_TRUE(pair.ok()) << pair.error().message;
    ASSERT_EQ(::fcntl(pair->first.get(), F_SETFL, O_NONBLOCK), 0);
    peer_ = std::move(pair->second);
    link_ = std::make_unique<PacketLink>(*loop_, std::move(pair->first));
  }
  void start() {
    ASSERT_TRUE(link_
                    ->start(
                        [this](control::MessageT message, std::vector<UniqueFd> fds) {
                          received_.push_back(message.id);
                          fds_ += fds.size();
                        },
                        [this](const Error& reason) {
                          ++closed_;
                          reason_ = reason;
                          loop_->stop();
                        })
                    .ok());
  }
  /// A few rounds of the loop; ends early when the link closes.
  void run_rounds() {
    stop_after(3);
    loop_->run();
  }
  void stop_after(int rounds) {
    loop_->post([this, rounds] { rounds == 0 ? loop_->stop() : stop_after(rounds - 1); });
  }
  std::optional<uint64_t> next_at_peer(size_t* fds = nullptr) {
    auto packet = ipc::receive_packet_until(peer_.get(), monotonic_ns());
    if (!packet.ok()) return std::nullopt;
    if (fds != nullptr) *fds += packet->fds.size();
    auto message = wire::decode_message(packet->bytes);
    return message.ok() ? std::optional(message->id) : std::nullopt;
  }
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<PacketLink> link_;
  UniqueFd peer_;
  std::vector<uint64_t> received_;
  size_t fds_ = 0;
  int closed_ = 0;
  Error reason_;
};

TEST_F(PacketLinkTest, MessagesArriveWithTheirDescriptors) {
  start();
  const UniqueFd fd(::eventfd(0, EFD_CLOEXEC));
  const std::array<int, 2> raw = {fd.get(), fd.get()};
  ASSERT_TRUE(ipc::send_packet(peer_.get(), wire::encode_message(5, control::DoneT{}), raw).ok());
  ASSERT_TRUE(ipc::send_packet(peer_.get(), wire::encode_message(6, control::DoneT{})).ok());
  run_rounds();
  EXPECT_EQ(received_, (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(fds_, 2U);
  EXPECT_EQ(closed_, 0);
}

TEST_F(PacketLinkTest, SlowPeerGetsEverythingInOrder) {
  start();
  constexpr uint64_t kPackets = 500;  // more than the socket's buffer takes
  for (uint64_t id = 1; id <= kPackets; ++id) {
    std::vector<UniqueFd> fds;
    if (id == kPackets) fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
    link_->send(large_packet(id), std::move(fds));
  }
  EXPECT_NE(watched_events(link_->socket()) & EPOLLOUT, 0U);
  std::vector<uint64_t> ids;
  size_t fds = 0;
  std::function<void()> read = [&] {
    while (auto id = next_at_peer(&fds)) ids.push_back(*id);
    if (ids.size() < kPackets) {
      loop_->post(read);
    } else {
      // One more round: the link may still have to learn that it is done.
      loop_->post([this] { loop_->stop(); });
    }
  };
  loop_->post(read);
  loop_->after(30 * kNanosecondsPerSecond, [this] { loop_->stop(); });
  loop_->run();
  ASSERT_EQ(ids.size(), kPackets);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(fds, 1U) << "the descriptor of a packet that had to wait";
  EXPECT_EQ(closed_, 0);
  EXPECT_EQ(watched_events(link_->socket()) & EPOLLOUT, 0U) << "the loop would never sleep";
}

TEST_F(PacketLinkTest, PeerThatNeverReadsIsClosedOnce) {
  start();
  const auto packet = wire::encode_message(1, control::DoneT{});
  for (size_t count = 0; count < PacketLink::kMaxQueued + 2000; ++count) link_->send(packet);
  EXPECT_EQ(closed_, 0) << "send() itself never closes";
  loop_->run();  // until it closes
  EXPECT_EQ(closed_, 1);
  EXPECT_EQ(reason_.code, POCKET_RESOURCE_EXHAUSTED);
}

TEST_F(PacketLinkTest, PeerThatIsGoneIsNoticed) {
  start();
  peer_.reset();
  link_->send(wire::encode_message(1, control::DoneT{}));
  EXPECT_EQ(closed_, 0);
  loop_->run();  // until it closes
  EXPECT_EQ(closed_, 1);
  EXPECT_EQ(reason_.code, POCKET_UNAVAILABLE);
  link_->send(wire::encode_message(2, control::DoneT{}));  // nothing happens
}

TEST_F(PacketLinkTest, RubbishClosesTheLink) {
  start();
  const std::vector<uint8_t> rubbish(100, 0xab);
  ASSERT_TRUE(ipc::send_packet(peer_.get(), rubbish).ok());
  loop_->run();
  EXPECT_EQ(closed_, 1);
  EXPECT_EQ(reason_.code, POCKET_DATA_LOSS);
}

TEST_F(PacketLinkTest, MessageCallbackMayDestroyTheLink) {
  std::string seen;
  const std::string state(1000, 's');  // on the heap: used after the link is gone
  ASSERT_TRUE(link_
                  ->start(
                      [this, state, &seen](const control::MessageT&, const std::vector<UniqueFd>&) {
                        link_.reset();
                        seen += state;
                      },
                      [](const Error&) { FAIL() << "a destroyed link closes silently"; })
                  .ok());
  for (uint64_t id = 1; id <= 3; ++id) {
    ASSERT_TRUE(ipc::send_packet(peer_.get(), wire::encode_message(id, control::DoneT{})).ok());
  }
  run_rounds();
  EXPECT_EQ(seen, state);
}

TEST_F(PacketLinkTest, CloseCallbackMayDestroyTheLink) {
  std::string seen;
  const std::string state(1000, 's');
  ASSERT_TRUE(link_
                  ->start([](const control::MessageT&, const std::vector<UniqueFd>&) {},
                          [this, state, &seen](const Error&) {
                            link_.reset();
                            seen += state;
                          })
                  .ok());
  peer_.reset();
  run_rounds();
  EXPECT_EQ(seen, state);
}

TEST_F(PacketLinkTest, DestroyedLinkForgetsWhatItPosted) {
  start();
  peer_.reset();
  link_->send(wire::encode_message(1, control::DoneT{}));  // posts its failure
  link_.reset();
  run_rounds();
  EXPECT_EQ(closed_, 0);
}

}  // namespace
}  // namespace pocket::daemon
