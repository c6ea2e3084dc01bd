// A client that tries what it must not: run in a container that has nothing of the service but its
// socket. One static file, so that it is all that a container image needs.
//
//   intruder victim            calls, keeps a tensor, and goes on until SIGTERM; fails when an
//   answer
//                              is ever wrong
//   intruder attack PID...     tries everything below, also on these processes of the host; fails
//                              when one of them works
//   intruder hold              takes as much as it may and keeps it until it is killed
//
// Exit: 0, 1 something was not as it must be (said on standard output), 2 usage.
#include <fcntl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "pocket/pocket.hpp"
#include "raw_client.h"

namespace {

namespace control = pocket::wire::control;
using pocket::testing::RawClient;

constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD
bool all_held = true;

void check(bool held, const std::string& what) {
  std::printf("%s: %s\n", held ? "held" : "BROKEN", what.c_str());
  std::fflush(stdout);
  all_held = all_held && held;
}

std::string socket_path() {
  const char* path = std::getenv("POCKET_SOCKET");
  return path == nullptr ? "/run/pocket/pocket.sock" : path;
}

/// The status that `body` ends with.
template <typename Body>
int32_t status_of(Body body) {
  try {
    body();
  } catch (const pocket::StatusError& error) {
    return error.status();
  }
  return POCKET_OK;
}

RawClient greeted() {
  auto client = RawClient::greeted(socket_path());
  if (!client.ok()) throw pocket::StatusError(client.error().code, client.error().message);
  return std::move(*client);
}

/// The status of the answer; -1 when the service has hung up.
template <typename Table>
int32_t answer_to(RawClient& client, Table body) {
  const auto answer = client.ask(std::move(body));
  if (!answer.ok()) return -1;
  const auto* failed = answer->body.AsFailed();
  return failed == nullptr ? POCKET_OK : failed->status;
}

// --- other processes ----------------------------------------------------------------------------

bool may_touch(pid_t pid) {
  if (::kill(pid, 0) == 0) return true;
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0) return true;
  char byte = 0;
  iovec here{&byte, 1};
  iovec there{reinterpret_cast<void*>(0x400000), 1};
  if (::process_vm_readv(pid, &here, 1, &there, 1, 0) > 0) return true;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd >= 0) return true;
  return ::access(("/proc/" + std::to_string(pid) + "/fd").c_str(), F_OK) == 0;
}

void try_processes(const std::vector<pid_t>& pids) {
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    const bool process = name.find_first_not_of("0123456789") == std::string::npos;
    seen += process && name != std::to_string(::getpid());
  }
  check(seen == 0, "/proc shows nobody else");
  bool touched = false;
  for (pid_t pid = 1; pid < 4000; ++pid) touched = touched || (pid != ::getpid() && may_touch(pid));
  for (const pid_t pid : pids) touched = touched || (pid != ::getpid() && may_touch(pid));
  check(!touched, "no other process can be signalled, traced, read or opened");
}

/// The service's own process, which the kernel names to whoever connects.
void try_the_service(int socket) {
  int pidfd = -1;
  socklen_t size = sizeof(pidfd);
  if (::getsockopt(socket, SOL_SOCKET, kPeerPidfd, &pidfd, &size) != 0) return;
  bool taken = false;
  for (int number = 0; number < 1024; ++number) {
    taken = taken || ::syscall(SYS_pidfd_getfd, pidfd, number, 0) >= 0;
  }
  check(!taken, "no descriptor can be taken out of the service");
  check(::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) != 0,
        "the service cannot be signalled");
  ::close(pidfd);
}

// --- memory -------------------------------------------------------------------------------------

bool maps_writable(int fd) {
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return false;
  ::munmap(memory, 4096);
  return true;
}

/// Of all descriptors that this process can find, those named like a region of that kind.
std::vector<int> regions(const std::string& kind) {
  std::vector<int> found;
  for (int fd = 0; fd < 4096; ++fd) {
    std::error_code error;
    const auto name =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).string();
    if (!error && name.find("memfd:pocket-" + kind) != std::string::npos) found.push_back(fd);
  }
  return found;
}

void try_regions(RawClient& client) {
  control::OpenModelT open;
  open.name = "echo";
  client.say(std::move(open));
  auto packet = pocket::ipc::receive_packet_until(client.fd(), pocket::kForever);
  if (!packet.ok() || packet->fds.size() != 4) {
    check(false, "echo can be opened");
    return;
  }
  const auto requests = regions("request"), responses = regions("response");
  check(requests.size() == 1 && responses.size() == 1, "only its own regions can be found");
  const int request = packet->fds[0].get(), response = packet->fds[1].get();
  check(!maps_writable(response), "the answers cannot be mapped writable");
  check(::write(response, "x", 1) < 0 && ::pwrite(response, "x", 1, 64) < 0,
        "the answers cannot be written");
  const std::string again = "/proc/self/fd/" + std::to_string(response);
  const int reopened = ::open(again.c_str(), O_RDWR);
  check(reopened < 0 || !maps_writable(reopened), "nor when they are opened anew");
  if (reopened >= 0) ::close(reopened);
  check(::ftruncate(request, 0) != 0 && ::ftruncate(request, 1 << 30) != 0 &&
            ::ftruncate(response, 0) != 0,
        "no region can be cut or grown");
  bool shared = false;
  for (int id = 0; id < 256; ++id) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the failure value of shmat
    shared = shared || ::shmat(id, nullptr, SHM_RDONLY) != reinterpret_cast<void*>(-1);
  }
  bool named = shared;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    named = named || !entry.path().empty();
  }
  check(!named, "no shared memory has a name here");
}

// --- messages -----------------------------------------------------------------------------------

void try_messages(RawClient& client) {
  bool worked = false;
  RawClient other = greeted();  // has no channel of its own
  for (uint32_t channel = 0; channel < 300; ++channel) {
    control::GrowChannelT grow;
    grow.channel = channel;
    control::CloseChannelT close;
    close.channel = channel;
    worked = worked || answer_to(other, grow) == POCKET_OK || answer_to(other, close) == POCKET_OK;
  }
  check(!worked, "no channel of somebody else can be grown or closed");

  bool obeyed = false;
  control::RunnerLoadT load;
  load.path = "/etc/shadow";
  control::RunnerTenantT limits;
  const auto tell = [&](auto message) {
    RawClient fresh = greeted();
    obeyed = obeyed || answer_to(fresh, std::move(message)) == POCKET_OK;
  };
  tell(load);
  tell(limits);
  tell(control::RunnerAttachT{});
  tell(control::RunnerDetachT{});
  tell(control::RunnerGetStatsT{});
  tell(control::RunnerShutdownT{});
  check(!obeyed, "what pocketd tells runners is not taken from a client");

  const int32_t denied = POCKET_PERMISSION_DENIED;
  control::UnloadModelT unload;
  unload.name = "echo";
  control::GetLeasesT repair;
  repair.reconcile = true;
  check(::getuid() == 0, "(this is root, of the container)");
  check(answer_to(client, control::StopServiceT{}) == denied &&
            answer_to(client, control::ReloadT{}) == denied &&
            answer_to(client, unload) == denied && answer_to(client, repair) == denied,
        "root of a container is no administrator");

  // The words of another connection, said again.
  control::HelloT hello;
  hello.version_min = 1;
  hello.version_max = 1;
  hello.client_name = "pocket";
  check(answer_to(other, hello) == POCKET_OK && answer_to(other, control::StopServiceT{}) == denied,
        "a second greeting makes nobody else of it");
}

void try_lists(RawClient& client) {
  const auto answer = client.ask(control::ListModelsT{});
  const auto* models = answer.ok() ? answer->body.AsModels() : nullptr;
  check(models != nullptr && models->models.size() == 2 &&
            std::ranges::all_of(models->models,
                                [](const auto& model) {
                                  return model->name != "secret" && model->path.empty() &&
                                         model->runner_pid == 0;
                                }),
        "of models only those it may use are shown, without paths and processes");
  const auto told = client.ask(control::GetStatusT{});
  const auto* status = told.ok() ? told->body.AsStatus() : nullptr;
  check(status != nullptr && status->runners.empty() && status->models_dir.empty() &&
            std::ranges::all_of(status->sessions,
                                [](const auto& session) { return session->name != "victim"; }) &&
            status->tenants.size() == 1,
        "of clients and tenants only its own are shown");
}

// --- models, tensors, limits --------------------------------------------------------------------

void try_models(const pocket::Session& session) {
  for (const char* name : {"secret", "no-such-model", "../secret", "echo/../secret"}) {
    const int32_t status = status_of([&] { const pocket::Model model(session, name); });
    check(status == POCKET_PERMISSION_DENIED, std::string("model '") + name + "' is refused");
  }
  const pocket::Model echo(session, "echo");
  bool found = false;
  for (uint64_t handle = 0; handle < 64; ++handle) {
    pocket::Call call(echo);
    found = found || status_of([&] {
                       call.input_kept(0, handle);
                       call.run();
                     }) != POCKET_NOT_FOUND;
    found = found || pocket_handle_release(echo.handle(), handle) != POCKET_NOT_FOUND;
  }
  check(!found, "no kept tensor of somebody else has a name");
}

/// Makes as many as it may get; what was closed a moment ago may still count for a moment.
template <typename Thing, typename Make>
int32_t fill(std::vector<std::unique_ptr<Thing>>& things, size_t wanted, Make make) {
  int32_t last = POCKET_OK;
  for (int attempt = 0; attempt < 2000; ++attempt) {
    last = status_of([&] { things.push_back(make()); });
    if (last != POCKET_OK && things.size() >= wanted) break;
    if (last != POCKET_OK) ::usleep(10'000);
  }
  return last;
}

void try_limits(const pocket::Session& session) {
  std::vector<std::unique_ptr<pocket::Session>> sessions;
  int32_t last = fill(sessions, 7, [] {
    return std::make_unique<pocket::Session>(pocket::ConnectOptions{.retry = false});
  });
  check(last == POCKET_BUSY && sessions.size() == 7, "clients: no more than 8, with the first");
  sessions.clear();

  std::vector<std::unique_ptr<pocket::Model>> models;
  last = fill(models, 6, [&] { return std::make_unique<pocket::Model>(session, "echo"); });
  check(last == POCKET_RESOURCE_EXHAUSTED && models.size() == 6, "open models: no more than 6");
  models.resize(1);
  const int32_t grown = status_of([&] {
    pocket::Call call(*models[0]);
    call.input<float>(0, {16 << 20});
    call.run();
  });
  check(grown == POCKET_RESOURCE_EXHAUSTED, "shared memory: no more than 32 MiB");

  const pocket::Model slow(session, "slow");
  std::vector<std::unique_ptr<pocket::Call>> calls;
  for (int index = 0; index < 12; ++index) {
    calls.push_back(std::make_unique<pocket::Call>(slow));
    calls.back()->input<float>(0, {4});
    calls.back()->submit();
  }
  int busy = 0;
  for (auto& call : calls) busy += status_of([&] { call->wait(); }) == POCKET_BUSY;
  check(busy >= 1 && busy <= 8, "calls in flight: no more than 4");
}

int attack(const std::vector<pid_t>& pids) {
  {
    RawClient client = greeted();
    try_processes(pids);
    try_the_service(client.fd());
    try_regions(client);
    try_messages(client);
    try_lists(client);
  }
  const pocket::Session session({.retry = false});  // "not now" is an answer here
  try_models(session);
  try_limits(session);
  return all_held ? 0 : 1;
}

int be_victim() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const pocket::Session session({.client_name = "victim"});
  const pocket::Model model(session, "echo");
  pocket::Call keeping(model);
  keeping.input<float>(0, {4})[1] = 42;
  keeping.keep_output(0);
  keeping.run();
  const uint64_t kept = keeping.kept_output(0);
  std::puts("victim ready");
  std::fflush(stdout);
  pocket::Call call(model), taking(model);
  taking.input_kept(0, kept);
  const timespec pause{0, 2'000'000};
  for (int round = 1; ::sigtimedwait(&signals, nullptr, &pause) != SIGTERM; ++round) {
    call.input<float>(0, {4})[3] = static_cast<float>(round);
    call.run();
    taking.run();
    const bool right = call.output(0).values<float>()[3] == static_cast<float>(round) &&
                       taking.output(0).values<float>()[1] == 42;
    if (right) continue;
    std::puts("BROKEN: the victim's answer was changed");
    return 1;
  }
  std::puts("victim unharmed");
  return 0;
}

int hold() {
  std::vector<std::unique_ptr<pocket::Session>> sessions;
  std::vector<std::unique_ptr<pocket::Model>> models;
  for (int index = 0; index < 6; ++index) {
    sessions.push_back(std::make_unique<pocket::Session>());
    models.push_back(std::make_unique<pocket::Model>(*sessions.back(), "echo"));
  }
  pocket::Call keeping(*models[0]);
  keeping.input<float>(0, {1 << 18});
  keeping.keep_output(0);
  keeping.run();
  std::puts("holding");
  std::fflush(stdout);
  while (true) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  try {
    if (mode == "victim") return be_victim();
    if (mode == "hold") return hold();
    if (mode == "attack") {
      std::vector<pid_t> pids;
      for (int index = 2; index < argc; ++index) pids.push_back(std::atoi(argv[index]));
      return attack(pids);
    }
  } catch (const std::exception& error) {
    std::printf("BROKEN: %s\n", error.what());
    return 1;
  }
  std::fprintf(stderr, "usage: intruder victim | attack PID... | hold\n");
  return 2;
}
