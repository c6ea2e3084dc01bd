// A thousand clients in one run, each served, and nothing of them left; two hundred that do nothing
// and cost nothing.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "null_models.h"
#include "outcome.h"
#include "processes.h"
#include "raw_client.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::cpu_ns;
using pocket::testing::eventually;
using pocket::testing::fd_count;
using pocket::testing::own_bytes;
using pocket::testing::pss_bytes;
using pocket::testing::service_status;
using pocket::testing::settled_fd_count;
using pocket::testing::TestService;

constexpr int kProcesses = 50;
constexpr int kSessions = 20;  // in each process
constexpr int kClients = kProcesses * kSessions;
constexpr uint64_t kMegabyte = 1'000'000;

/// A session of its own with one open model and one call.
struct Client {
  explicit Client(const std::string& socket)
      : session(ConnectOptions{.socket = socket}), model(session, "echo"), call(model) {}
  bool serve(float value) {
    call.input<float>(0, {1000})[999] = value;
    call.run(60 * pocket::testing::kSecond);
    return call.output(0).values<float>()[999] == value;
  }
  Session session;
  Model model;
  Call call;
};

/// One process of clients: connects, is served, tells, and is served again when `go` ends. Half of
/// the clients call from threads of their own.
int be_clients(const std::string& socket, int index, int told, int go) {
  try {
    std::vector<std::unique_ptr<Client>> clients;
    for (int count = 0; count < kSessions; ++count) {
      clients.push_back(std::make_unique<Client>(socket));
    }
    const auto serve_all = [&](float first) {
      std::vector<std::jthread> threads;
      std::vector<char> good(clients.size(), 0);
      for (size_t number = 0; number < clients.size(); ++number) {
        const auto serve = [&, number] {
          good[number] = clients[number]->serve(first + static_cast<float>(number)) ? 1 : 0;
        };
        if (number % 2 == 0) {
          threads.emplace_back(serve);
        } else {
          serve();
        }
      }
      threads.clear();
      return std::count(good.begin(), good.end(), 1) == kSessions;
    };
    char byte = 0;
    if (!serve_all(static_cast<float>(index * kSessions))) return 2;
    if (::write(told, &byte, 1) != 1) return 3;
    (void)!::read(go, &byte, 1);
    return serve_all(static_cast<float>(kClients + index * kSessions)) ? 0 : 4;
  } catch (const StatusError& error) {
    std::fprintf(stderr, "client process %d: %s\n", index, error.what());
    return 1;
  }
}

TEST(Scale, AThousandClientsAreServedAndNothingOfThemIsLeft) {
  TestService service;
  service.add_null_model("echo", pocket::testing::kEcho);
  ASSERT_TRUE(service.start()) << service.log();
  std::optional<Client> first(std::in_place, service.socket());  // keeps the model loaded
  ASSERT_TRUE(first->serve(1));
  const pid_t runner = service.runners().front();
  ASSERT_TRUE(service_status(service.socket()).ok());
  const size_t service_fds = settled_fd_count(service.pid());
  const size_t runner_fds = settled_fd_count(runner);
  const uint64_t service_bytes = own_bytes(service.pid());
  const uint64_t runner_bytes = own_bytes(runner);

  int told[2];
  int go[2];
  ASSERT_EQ(::pipe(told), 0);
  ASSERT_EQ(::pipe(go), 0);
  std::vector<pid_t> children;
  for (int index = 0; index < kProcesses; ++index) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(told[0]);
      ::close(go[1]);
      ::_exit(be_clients(service.socket(), index, told[1], go[0]));
    }
    children.push_back(child);
  }
  ::close(told[1]);
  ::close(go[0]);
  char byte = 0;
  int served = 0;
  while (served < kProcesses && ::read(told[0], &byte, 1) == 1) ++served;
  EXPECT_EQ(served, kProcesses);

  // All of them are connected at once.
  const auto status = service_status(service.socket());
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_EQ(status->notes.size(), 1U);
  EXPECT_THAT(status->notes[0], ::testing::HasSubstr("1002 sessions are connected"));
  EXPECT_TRUE(eventually([&] { return fd_count(service.pid()) >= service_fds + kClients; }));
  EXPECT_TRUE(eventually([&] { return fd_count(runner) == runner_fds + 2 * kClients; }));
  std::printf("%d clients: pocketd %.1f MB, its runner %.1f MB\n", kClients,
              static_cast<double>(own_bytes(service.pid())) / 1e6,
              static_cast<double>(own_bytes(runner)) / 1e6);
  ::close(go[1]);
  for (const pid_t child : children) {
    int ended = -1;
    EXPECT_EQ(::waitpid(child, &ended, 0), child);
    EXPECT_EQ(ended, 0);
  }
  ::close(told[0]);

  EXPECT_TRUE(eventually([&] { return fd_count(service.pid()) == service_fds; }))
      << fd_count(service.pid()) << " instead of " << service_fds;
  EXPECT_TRUE(eventually([&] { return fd_count(runner) == runner_fds; }))
      << fd_count(runner) << " instead of " << runner_fds;
  EXPECT_LE(own_bytes(service.pid()), service_bytes + 4 * kMegabyte);
  EXPECT_LE(own_bytes(runner), runner_bytes + 4 * kMegabyte);
  std::printf(
      "afterwards: pocketd %+.1f MB, its runner %+.1f MB\n",
      (static_cast<double>(own_bytes(service.pid())) - static_cast<double>(service_bytes)) / 1e6,
      (static_cast<double>(own_bytes(runner)) - static_cast<double>(runner_bytes)) / 1e6);
  EXPECT_EQ(service_status(service.socket())->sessions.size(), 2U);
  EXPECT_TRUE(first->serve(2));
  EXPECT_EQ(service.runners(), std::vector<pid_t>{runner});
  first.reset();
  EXPECT_EQ(service.stop(), 0);
}

TEST(Scale, TwoHundredIdleClientsCostNoProcessorTimeAndAnIdleServiceLittleMemory) {
  TestService service;
  service.add_null_model("echo", pocket::testing::kEcho);
  ASSERT_TRUE(service.start()) << service.log();
  const uint64_t idle_bytes = pss_bytes(service.pid());
  EXPECT_LE(idle_bytes, 10 * kMegabyte);
  std::vector<std::unique_ptr<Client>> clients;
  for (int index = 0; index < 200; ++index) {
    clients.push_back(std::make_unique<Client>(service.socket()));
    ASSERT_TRUE(clients.back()->serve(static_cast<float>(index)));
  }
  const pid_t runner = service.runners().front();
  const auto both = [&] { return cpu_ns(service.pid()) + cpu_ns(runner); };
  // The last spinner gives up within microseconds; what follows is idle.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const uint64_t before = both();
  EXPECT_GT(before, 0U);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  const uint64_t used = both() - before;
  std::printf(
      "pocketd without clients: %.1f MB; 200 idle clients: %.3f ms of processor time in 5 s\n",
      static_cast<double>(idle_bytes) / 1e6, static_cast<double>(used) / 1e6);
  EXPECT_LE(used, 5'000'000U) << "more than 0.1 % of a core";
  EXPECT_TRUE(clients.front()->serve(7));
}

}  // namespace
}  // namespace pocket
