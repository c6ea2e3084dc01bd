#include "daemon/protections.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>

#include "sandbox/capabilities.h"
#include "sandbox/probe.h"

namespace pocket::daemon {
namespace {

constexpr int kKept[] = {
    CAP_DAC_OVERRIDE,     // limits of groups that belong to other users, the users' models
    CAP_DAC_READ_SEARCH,  // likewise
    CAP_CHOWN,            // sockets that are for a group ([[socket]])
    CAP_KILL,             // runners have users of their own
    CAP_SETUID,           // a runner's way to its user
    CAP_SETGID,           // likewise
    CAP_SETPCAP,          // a runner's way to no capabilities
    CAP_SYS_ADMIN,        // a runner's namespaces and file tree
    CAP_SYS_NICE,         // the priority of a runner's thread, within the runner's group
    CAP_SYS_PTRACE,       // to see whose process a client is, and a runner's memory use
};

}  // namespace

Result<void> give_up_privileges() {
  POCKET_RETURN_IF_ERROR(sandbox::bound_capabilities(kKept));
  POCKET_RETURN_IF_ERROR(sandbox::keep_capabilities(kKept));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return errno_error("PR_SET_NO_NEW_PRIVS", errno);
  }
  return ok_result();
}

Result<std::vector<std::string>> check_protections(const Config& config) {
  std::vector<std::string> notes;
  const auto& modes = config.sandbox.modes;
  const bool required = std::ranges::find(modes, sandbox::Mode::kRequire) != modes.end();
  const bool wanted =
      std::ranges::any_of(modes, [](sandbox::Mode mode) { return mode != sandbox::Mode::kOff; });
  if (!wanted) return notes;
  auto report = sandbox::probe(config.runner, config.sandbox);
  if (!report.ok()) {
    if (required) return std::move(report).error();
    notes.push_back(report.error().message);
  } else {
    POCKET_RETURN_IF_ERROR(sandbox::check_required(config.sandbox, *report));
    for (const auto& line : sandbox::missing(config.sandbox, *report)) {
      notes.push_back("runners are not protected by " + line);
    }
  }
  for (const auto& note : notes) spdlog::warn("{}", note);
  return notes;
}

}  // namespace pocket::daemon
