#include "runner/protect.h"

#include "sandbox/syscall_filter.h"
#include "sandbox/violation.h"
#include "wire/control.h"

namespace pocket::runner {
namespace {

// Replaced by the name of the system call.
constexpr std::string_view kPlace = "@@@@@@@@@@@@@@@@@@@@@@@@";

std::vector<uint8_t> violation_packet() {
  wire::control::FailedT failed;
  failed.status = POCKET_UNAVAILABLE;
  failed.message =
      "was stopped by its sandbox, because the engine or a model in it used a system "
      "call that is not on its list: " +
      std::string(kPlace);
  return wire::encode_message(0, std::move(failed));
}

Result<void> filter(const std::vector<std::string>& plugins) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  (void)plugins;
  return Error{POCKET_UNIMPLEMENTED, "sanitizers, with which this is built, need other calls"};
#else
  POCKET_ASSIGN_OR_RETURN(const auto list, sandbox::syscalls_of(plugins));
  return sandbox::filter_syscalls(list);
#endif
}

}  // namespace

Result<Protection> Protection::parse(const ProtectOptions& options) {
  Protection protection;
  POCKET_RETURN_IF_ERROR(sandbox::parse_modes(options.modes, protection.entry_.settings));
  protection.entry_.settings.user = options.user;
  protection.entry_.tree.shown = options.shown;
  protection.entry_.tree.writable = options.writable;
  return protection;
}

Result<void> Protection::enter(const std::vector<std::string>& plugins) {
  entry_.plugins = plugins;
  return sandbox::enter(entry_, report_);
}

Result<void> Protection::close(const std::vector<std::string>& plugins, int socket) {
  constexpr auto kSyscalls = sandbox::Protection::kSyscalls;
  std::vector<uint8_t> packet;
  if (socket >= 0) packet = violation_packet();
  POCKET_RETURN_IF_ERROR(sandbox::report_violations(socket, packet, kPlace));
  if (entry_.settings.wants(kSyscalls)) {
    const auto filtered = filter(plugins);
    report_.of(kSyscalls) = {filtered.ok(), filtered.ok() ? "" : filtered.error().message};
  }
  return sandbox::check_required(entry_.settings, report_);
}

}  // namespace pocket::runner
