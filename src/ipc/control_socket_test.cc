#include "ipc/control_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/clock.h"

namespace pocket::ipc {
namespace {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char pattern[] = "/tmp/pocket-ipc-XXXXXX";
    path_ = ::mkdtemp(pattern);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

TEST(ControlSocket, CarriesBytesAndDescriptors) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fds[2] = {file.get(), file.get()};
  ASSERT_TRUE(send_packet(pair->first.get(), bytes_of("hello"), fds).ok());
  auto packet = receive_packet(pair->second.get());
  ASSERT_TRUE(packet.ok()) << packet.error().message;
  EXPECT_EQ(packet->bytes, bytes_of("hello"));
  ASSERT_EQ(packet->fds.size(), 2u);
  EXPECT_EQ(::fcntl(packet->fds[0].get(), F_GETFD), FD_CLOEXEC);
}

TEST(ControlSocket, KeepsPacketsApartUpToTheLimit) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  const std::vector<uint8_t> largest(kMaxControlBytes, 7);
  ASSERT_TRUE(send_packet(pair->first.get(), largest).ok());
  EXPECT_EQ(receive_packet(pair->second.get())->bytes, largest);
  const std::vector<uint8_t> larger(kMaxControlBytes + 1, 7);
  EXPECT_EQ(send_packet(pair->first.get(), larger).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(send_packet(pair->first.get(), {}).error().code, POCKET_INVALID_ARGUMENT);
  ASSERT_EQ(::send(pair->first.get(), larger.data(), larger.size(), 0),
            static_cast<ssize_t>(larger.size()));
  EXPECT_EQ(receive_packet(pair->second.get()).error().code, POCKET_DATA_LOSS);
}

TEST(ControlSocket, ReportsTooManyDescriptorsAndLeaksNone) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  constexpr size_t kMany = kMaxControlFds + 1;
  alignas(cmsghdr) char buffer[CMSG_SPACE(kMany * sizeof(int))] = {};
  char byte = 1;
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = buffer;
  message.msg_controllen = sizeof(buffer);
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(kMany * sizeof(int));
  for (size_t i = 0; i < kMany; ++i) {
    const int fd = 0;
    std::memcpy(CMSG_DATA(control) + i * sizeof(int), &fd, sizeof(fd));
  }
  ASSERT_EQ(::sendmsg(pair->first.get(), &message, 0), 1);
  const auto count_fds = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = count_fds();
  EXPECT_EQ(receive_packet(pair->second.get()).error().code, POCKET_DATA_LOSS);
  EXPECT_EQ(count_fds(), before);
}

TEST(ControlSocket, SaysWhenThePeerIsGoneOrSilent) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(receive_packet_until(pair->second.get(), monotonic_ns()).error().code,
            POCKET_DEADLINE_EXCEEDED);
  pair->first.reset();
  EXPECT_EQ(receive_packet(pair->second.get()).error().code, POCKET_UNAVAILABLE);
  EXPECT_EQ(receive_packet_until(pair->second.get(), kForever).error().code, POCKET_UNAVAILABLE);
  EXPECT_EQ(send_packet(pair->second.get(), bytes_of("x")).error().code, POCKET_UNAVAILABLE);
}

TEST(ControlSocket, LastWordsOfAPeerThatDidNotListenAreHeard) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  ASSERT_TRUE(send_packet(pair->first.get(), bytes_of("full")).ok());
  ASSERT_TRUE(send_packet(pair->second.get(), bytes_of("hello")).ok());
  pair->first.reset();  // "hello" unread
  auto packet = receive_packet_until(pair->second.get(), kForever);
  ASSERT_TRUE(packet.ok()) << packet.error().message;
  EXPECT_EQ(packet->bytes, bytes_of("full"));
  EXPECT_EQ(receive_packet_until(pair->second.get(), kForever).error().code, POCKET_UNAVAILABLE);
}

TEST(ControlSocket, DescriptorsThatFindNoNumberAreReported) {
  auto pair = control_pair();
  ASSERT_TRUE(pair.ok());
  const int fds[] = {0, 1};
  ASSERT_TRUE(send_packet(pair->first.get(), bytes_of("x"), fds).ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  auto packet = receive_packet(pair->second.get());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(packet.ok()) << packet.error().message;
  EXPECT_TRUE(packet->lost_fds);
  EXPECT_EQ(packet->bytes, bytes_of("x"));
}

TEST(ControlSocket, AFullNonBlockingSocketIsBusy) {
  TemporaryFolder folder;
  auto listener = listen_control(folder / "s", 0600);
  ASSERT_TRUE(listener.ok());
  auto client = connect_control(folder / "s", kNanosecondsPerSecond);
  auto served = accept_control(listener->get());
  ASSERT_TRUE(client.ok() && served.ok());
  EXPECT_EQ(receive_packet(served->get()).error().code, POCKET_BUSY);
  const std::vector<uint8_t> large(64 * 1024, 1);
  Result<void> sent;
  for (int i = 0; i < 1000 && sent.ok(); ++i) sent = send_packet(served->get(), large);
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, POCKET_BUSY);
}

TEST(ControlSocket, ListensAndConnects) {
  TemporaryFolder folder;
  const std::string path = folder / "a/b/pocket.sock";
  auto listener = listen_control(path, 0666);
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0666u);
  EXPECT_EQ(accept_control(listener->get()).error().code, POCKET_BUSY);
  auto client = connect_control(path, kNanosecondsPerSecond);
  ASSERT_TRUE(client.ok()) << client.error().message;
  auto served = accept_control(listener->get());
  ASSERT_TRUE(served.ok());
}

TEST(ControlSocket, ReplacesAStaleSocketButNotALiveOne) {
  TemporaryFolder folder;
  const std::string path = folder / "s";
  {
    auto first = listen_control(path, 0600);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(listen_control(path, 0600).error().code, POCKET_ALREADY_EXISTS);
  }
  EXPECT_EQ(connect_control(path, kNanosecondsPerSecond).error().code, POCKET_UNAVAILABLE);
  EXPECT_TRUE(listen_control(path, 0600).ok());
}

TEST(ControlSocket, NeverRemovesAFileThatIsNoSocket) {
  TemporaryFolder folder;
  const std::string path = folder / "precious";
  std::ofstream(path) << "data";
  EXPECT_EQ(listen_control(path, 0600).error().code, POCKET_ALREADY_EXISTS);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(ControlSocket, MissingSocketSaysWhatToDo) {
  TemporaryFolder folder;
  auto client = connect_control(folder / "none", kNanosecondsPerSecond);
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(client.error().code, POCKET_NOT_FOUND);
  EXPECT_NE(client.error().message.find("pocket service run"), std::string::npos);
  EXPECT_EQ(connect_control(std::string(200, 'x'), 1).error().code, POCKET_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace pocket::ipc
