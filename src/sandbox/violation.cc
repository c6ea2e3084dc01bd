#include "sandbox/violation.h"

#include <seccomp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "sandbox/start.h"

namespace pocket::sandbox {
namespace {

// More than any processor has, and the longest name that fits.
constexpr size_t kCalls = 512;
constexpr size_t kNameBytes = 24;

/// Everything the handler uses is made before: in it almost nothing is allowed.
struct Prepared {
  std::array<std::array<char, kNameBytes>, kCalls> names{};
  std::vector<uint8_t> packet;
  size_t place = 0;
  size_t room = 0;
  int socket = -1;
};
Prepared* prepared = nullptr;
std::atomic<bool> told{false};

void say(std::string_view text) { (void)!::write(STDERR_FILENO, text.data(), text.size()); }

void stop_for_call(int, siginfo_t* info, void*) {
  if (told.exchange(true)) {
    // Another thread is telling: the process ends with it.
    while (true) ::pause();
  }
  const auto call = static_cast<size_t>(info->si_syscall);
  const char* name =
      call < kCalls && prepared->names[call][0] != '\0' ? prepared->names[call].data() : "unknown";
  const size_t bytes = std::min(std::strlen(name), prepared->room);
  say("pocket-runner: stopped: an engine, or a model in it, used the system call '");
  say({name, bytes});
  say("', which its sandbox does not allow (docs/format-syscalls.md)\n");
  if (prepared->socket >= 0) {
    uint8_t* place = prepared->packet.data() + prepared->place;
    std::memset(place, ' ', prepared->room);
    std::memcpy(place, name, bytes);
    (void)::send(prepared->socket, prepared->packet.data(), prepared->packet.size(),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ::_exit(kSignalExit + SIGSYS);
}

void stop_for_abort(int) { ::_exit(kSignalExit + SIGABRT); }

Result<void> handle(int number, struct sigaction action) {
  if (::sigaction(number, &action, nullptr) != 0) return errno_error("sigaction", errno);
  return ok_result();
}

}  // namespace

Result<void> report_violations(int socket, std::span<const uint8_t> packet,
                               std::string_view placeholder) {
  static Prepared storage;
  storage.socket = socket;
  storage.packet.assign(packet.begin(), packet.end());
  const auto found = std::search(storage.packet.begin(), storage.packet.end(), placeholder.begin(),
                                 placeholder.end());
  storage.place = static_cast<size_t>(found - storage.packet.begin());
  storage.room = found == storage.packet.end() ? 0 : placeholder.size();
  if (storage.room == 0 && socket >= 0) {
    return Error{POCKET_INTERNAL, "the packet of a violation lacks the place for a name"};
  }
  for (size_t call = 0; call < kCalls; ++call) {
    char* name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(call));
    if (name == nullptr) continue;
    std::strncpy(storage.names[call].data(), name, kNameBytes - 1);
    std::free(name);
  }
  prepared = &storage;
  struct sigaction action {};
  action.sa_sigaction = stop_for_call;
  action.sa_flags = SA_SIGINFO;
  POCKET_RETURN_IF_ERROR(handle(SIGSYS, action));
  if (::getpid() != 1) return ok_result();
  struct sigaction abort_action {};
  abort_action.sa_handler = stop_for_abort;
  return handle(SIGABRT, abort_action);
}

}  // namespace pocket::sandbox
