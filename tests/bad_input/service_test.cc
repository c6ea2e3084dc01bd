// No service, the wrong one, or one that is told nonsense: what the other side hears.
#include "service.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>

#include "outcome.h"
#include "raw_client.h"

namespace pocket {
namespace {

namespace control = wire::control;
using pocket::testing::fails_with;
using pocket::testing::outcome_of;
using pocket::testing::RawClient;
using pocket::testing::TestService;
using pocket::testing::write_file;
using ::testing::HasSubstr;

pocket::testing::Outcome connecting(const std::string& socket, uint64_t timeout_ns = 0) {
  return outcome_of(
      [&] { const Session session(ConnectOptions{.socket = socket, .timeout_ns = timeout_ns}); });
}

/// Answers one client's Hello in a way of its own.
class FakeService {
 public:
  using Answer = std::function<std::vector<uint8_t>(const control::MessageT& hello)>;
  FakeService(const std::string& socket, Answer answer)
      : listener_(std::move(ipc::listen_control(socket, 0600)).value()),
        thread_([this, answer = std::move(answer)] { serve(answer); }) {}

 private:
  void serve(const Answer& answer) {
    auto client = ipc::accept_control(listener_.get());
    while (!client.ok() && client.error().code == POCKET_BUSY) {
      client = ipc::accept_control(listener_.get());
      std::this_thread::yield();
    }
    if (!client.ok()) return;
    const auto hello = ipc::receive_packet_until(client->get(), deadline_after(20'000'000'000));
    if (!hello.ok()) return;
    (void)ipc::send_packet(client->get(), answer(wire::decode_message(hello->bytes).value()));
  }
  UniqueFd listener_;
  std::jthread thread_;  // last: ends before what it uses
};

TEST(Connecting, MissingSocketSaysHowToStartAService) {
  const TestService not_started;
  EXPECT_THAT(
      connecting(not_started.socket()),
      fails_with(POCKET_NOT_FOUND, not_started.socket(), "pocket service run -d", "POCKET_SOCKET"));
}

TEST(Connecting, AStaleSocketSaysThatTheServiceIsNotRunning) {
  TestService service;
  ASSERT_TRUE(service.start()) << service.log();
  service.kill_now();
  ASSERT_TRUE(std::filesystem::exists(service.socket()));
  const auto outcome = connecting(service.socket());
  EXPECT_THAT(outcome, fails_with(POCKET_UNAVAILABLE, "not running", "pocket service run -d"));
  EXPECT_EQ(pocket_status_is_retryable(outcome.status), 1);
  EXPECT_TRUE(service.start()) << "a stale socket is in the way: " << service.log();
}

TEST(Connecting, ASocketOfSomethingElseIsNamed) {
  const TestService folder;
  const UniqueFd stream(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, folder.socket().c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(stream.get(), 1), 0);
  EXPECT_THAT(connecting(folder.socket()),
              fails_with(POCKET_VERSION_MISMATCH, "not a Pocket service"));
}

TEST(Connecting, AServiceOfAnotherVersionIsRefused) {
  const TestService folder;
  const FakeService fake(folder.socket(), [](const control::MessageT& hello) {
    control::WelcomeT welcome;
    welcome.version = 99;
    welcome.service_version = "9.9.9";
    return wire::encode_message(hello.id, std::move(welcome));
  });
  EXPECT_THAT(connecting(folder.socket()),
              fails_with(POCKET_VERSION_MISMATCH, "9.9.9", "99", "update"));
}

TEST(Connecting, AServiceThatTalksNonsenseIsRefused) {
  const TestService folder;
  const FakeService fake(folder.socket(), [](const control::MessageT&) {
    return std::vector<uint8_t>{'h', 'e', 'l', 'l', 'o'};
  });
  EXPECT_THAT(connecting(folder.socket()),
              fails_with(POCKET_DATA_LOSS, "not well-formed", "another Pocket version"));
}

TEST(Connecting, AServiceThatDoesNotGreetIsGivenUp) {
  const TestService folder;
  const auto listener = ipc::listen_control(folder.socket(), 0600);
  ASSERT_TRUE(listener.ok());
  EXPECT_THAT(connecting(folder.socket(), 50 * pocket::testing::kMillisecond),
              fails_with(POCKET_DEADLINE_EXCEEDED, "did not greet in time"));
}

TEST(Service, ClientsOfOtherVersionsHearWhichSideToUpdate) {
  TestService service;
  ASSERT_TRUE(service.start()) << service.log();
  const auto greet = [&](uint32_t least, uint32_t most) {
    auto client = RawClient::connect(service.socket());
    control::HelloT hello;
    hello.version_min = least;
    hello.version_max = most;
    auto answer = client->ask(std::move(hello));
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    const auto* failed = answer->body.AsFailed();
    EXPECT_NE(failed, nullptr);
    EXPECT_EQ(failed->status, POCKET_VERSION_MISMATCH);
    EXPECT_EQ(client->hear().error().code, POCKET_UNAVAILABLE);  // closed
    return failed->message;
  };
  EXPECT_THAT(greet(7, 9), HasSubstr("update the service"));
  EXPECT_THAT(greet(0, 0), HasSubstr("update the client"));
}

TEST(Service, SessionsOverTheLimitAreTurnedAwayForNow) {
  TestService service;
  const std::string config = service.folder() + "/pocketd.toml";
  write_file(config, "[limits]\nsessions = 1\n");
  ASSERT_TRUE(service.start({"--config", config})) << service.log();
  const Session first(ConnectOptions{.socket = service.socket()});
  const auto outcome = connecting(service.socket());
  EXPECT_THAT(outcome, fails_with(POCKET_BUSY, "limits.sessions"));
  EXPECT_EQ(pocket_status_is_retryable(outcome.status), 1);
}

TEST(Service, ASecondOneOnTheSocketIsRefused) {
  TestService service;
  ASSERT_TRUE(service.start()) << service.log();
  TestService second;
  EXPECT_FALSE(second.start({"--socket", service.socket()}));
  EXPECT_EQ(second.stop(), 1);
  EXPECT_THAT(second.log(), HasSubstr("a service already answers"));
  EXPECT_THAT(second.log(), HasSubstr("pocket service kill"));
  EXPECT_EQ(connecting(service.socket()).status, POCKET_OK);  // the first one goes on
}

TEST(Service, AMissingModelsFolderIsNamed) {
  TestService service;
  EXPECT_FALSE(service.start({"--models", service.folder() + "/none"}));
  EXPECT_EQ(service.stop(), 1);
  EXPECT_THAT(service.log(),
              HasSubstr("there is no models folder '" + service.folder() + "/none'"));
  EXPECT_THAT(service.log(), HasSubstr("--models"));
}

TEST(Service, AModelsFolderThatVanishesIsNamed) {
  TestService service;
  ASSERT_TRUE(service.start()) << service.log();
  std::filesystem::remove_all(service.models());
  const Session session(ConnectOptions{.socket = service.socket()});
  EXPECT_THAT(outcome_of([&] { const Model model(session, "echo"); }),
              fails_with(POCKET_NOT_FOUND, "models folder", "is gone"));
}

struct Mistake {
  const char* text;
  const char* told;
};

class ConfigurationTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(ConfigurationTest, MistakeIsNamedWithItsPlace) {
  TestService service;
  const std::string config = service.folder() + "/pocketd.toml";
  write_file(config, GetParam().text);
  EXPECT_FALSE(service.start({"--config", config}));
  EXPECT_EQ(service.stop(), 1);
  EXPECT_THAT(service.log(), HasSubstr(config));
  EXPECT_THAT(service.log(), HasSubstr(GetParam().told));
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, ConfigurationTest,
    ::testing::Values(Mistake{"[service]\nsockt = 'x'\n", "did you mean 'socket'?"},
                      Mistake{"[limit]\n", "did you mean 'limits'?"},
                      Mistake{"[limits]\n\nsessions = 'many'\n",
                              "line 3: 'sessions' must be a whole number from 1 to 1000000"},
                      Mistake{"[limits]\nrunners = 0\n", "must be a whole number"},
                      Mistake{"[models]\nkeep_alive_seconds = -1\n", "seconds >= 0"},
                      Mistake{"[log]\nlevel = 'verbose'\n",
                              "must be debug, info, warning or error"},
                      Mistake{"[models]\npreload = 'echo'\n", "list of model names"},
                      Mistake{"service = 3\n", "'service' must be a table"},
                      Mistake{"[service\n", "line 1"}));

TEST(Configuration, MissingFileAndFolderAreNamed) {
  TestService service;
  EXPECT_FALSE(service.start({"--config", service.folder() + "/none.toml"}));
  EXPECT_EQ(service.stop(), 1);
  EXPECT_THAT(service.log(), HasSubstr("none.toml': No such file"));
  EXPECT_FALSE(service.start({"--config", service.folder()}));
  EXPECT_EQ(service.stop(), 1);
  EXPECT_THAT(service.log(), HasSubstr("Is a directory"));
}

TEST(Configuration, UnreadableFileIsNamed) {
  TestService service;
  const std::string config = service.folder() + "/pocketd.toml";
  write_file(config, "");
  ASSERT_EQ(::chmod(config.c_str(), 0), 0);
  ASSERT_EQ(::chmod(service.folder().c_str(), 0777), 0);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);  // pocketd starts as nobody
  }
  const bool started = service.start({"--config", config});
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_FALSE(started);
  const int status = service.stop();
  if (status == 127) GTEST_SKIP() << "user nobody cannot reach the program";
  EXPECT_EQ(status, 1);
  EXPECT_THAT(service.log(), HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace pocket
