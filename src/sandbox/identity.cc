#include "sandbox/identity.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

#include "sandbox/capabilities.h"

namespace pocket::sandbox {
namespace {

// Above everything that distributions, containers and systemd give out (systemd.io/UIDS-GIDS:
// 1879048192 to 2147483647 are free), and where a container maps only 65,536 users, within those.
constexpr uid_t kFirstUser = 1'900'000'000;
constexpr uid_t kFirstSmallUser = 30'000;
constexpr uid_t kSmallUsers = 30'000;

struct Identity {
  uid_t user;
  gid_t group;
};

Result<Identity> find_user(const std::string& user) {
  uid_t number = 0;
  const auto parsed = std::from_chars(user.data(), user.data() + user.size(), number);
  const bool numeric = parsed.ec == std::errc() && parsed.ptr == user.data() + user.size();
  const passwd* entry = numeric ? ::getpwuid(number) : ::getpwnam(user.c_str());
  if (entry != nullptr) return Identity{entry->pw_uid, entry->pw_gid};
  if (numeric) return Identity{number, number};
  return Error{POCKET_NOT_FOUND, fmt::format("there is no user '{}'", user)};
}

Result<void> become(const Identity& identity) {
  if (::setgroups(0, nullptr) != 0) return errno_error("setgroups", errno);
  if (::setresgid(identity.group, identity.group, identity.group) != 0) {
    return errno_error(fmt::format("becoming group {}", identity.group), errno);
  }
  if (::setresuid(identity.user, identity.user, identity.user) != 0) {
    return errno_error(fmt::format("becoming user {}", identity.user), errno);
  }
  return ok_result();
}

}  // namespace

Result<void> change_user(const std::string& user, pid_t outer_pid) {
  if (!has_capability(CAP_SETUID) || !has_capability(CAP_SETGID)) {
    return Error{POCKET_PERMISSION_DENIED,
                 fmt::format("only root may change users; this is user {}", ::geteuid())};
  }
  if (!user.empty()) {
    POCKET_ASSIGN_OR_RETURN(const Identity identity, find_user(user));
    return become(identity);
  }
  const auto number = static_cast<uid_t>(outer_pid);
  if (become({kFirstUser + number, kFirstUser + number}).ok()) return ok_result();
  const uid_t small = kFirstSmallUser + number % kSmallUsers;
  return become({small, small});
}

pid_t outer_pid() {
  std::error_code error;
  const std::string link = std::filesystem::read_symlink("/proc/self", error).string();
  pid_t pid = 0;
  const auto parsed = std::from_chars(link.data(), link.data() + link.size(), pid);
  return !error && parsed.ec == std::errc() ? pid : ::getpid();
}

}  // namespace pocket::sandbox
