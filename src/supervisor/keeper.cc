#include "supervisor/keeper.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace pocket::supervisor {
namespace {

constexpr int kFirst = STDERR_FILENO + 1;  // of the descriptors handed over
constexpr size_t kMostFds = 16;            // in one message

/// The value of `KEY=` in lines of text; empty when there is none.
std::string value_of(const std::string& text, const std::string& key) {
  for (size_t from = 0; from < text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string line = text.substr(from, end - from);
    if (line.starts_with(key + "=")) return line.substr(key.size() + 1);
    from = end + 1;
  }
  return "";
}

/// The same descriptor at `lowest` or above, inherited by programs.
int moved_up(int fd, int lowest) { return ::fcntl(fd, F_DUPFD, lowest); }

}  // namespace

Result<Keeper> Keeper::create() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  Keeper keeper;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error("socketpair", errno);
  }
  keeper.own_.reset(ends[0]);
  keeper.theirs_.reset(ends[1]);
  return keeper;
}

void Keeper::take_in() {
  while (true) {
    std::array<char, 1024> text;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFds * sizeof(int))> control;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(own_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    std::vector<UniqueFd> fds;
    for (cmsghdr* entry = CMSG_FIRSTHDR(&message); entry != nullptr;
         entry = CMSG_NXTHDR(&message, entry)) {
      if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
      for (size_t at = 0; at < (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++at) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(entry) + at * sizeof(int), sizeof(int));
        fds.emplace_back(fd);
      }
    }
    take_in_one({text.data(), static_cast<size_t>(size)}, std::move(fds));
  }
}

void Keeper::take_in_one(const std::string& text, std::vector<UniqueFd> fds) {
  const std::string name = value_of(text, "FDNAME");
  if (value_of(text, "FDSTOREREMOVE") == "1") {
    std::erase_if(kept_, [&](const Kept& kept) { return kept.name == name; });
  }
  if (value_of(text, "FDSTORE") != "1") return;
  for (auto& fd : fds) kept_.push_back({name, std::move(fd)});
}

void Keeper::hand_over(int* other) const {
  // Out of the way first: a number that is needed may be in use by another one of them.
  const int above = kFirst + static_cast<int>(kept_.size());
  std::vector<int> moved;
  std::string names;
  for (const Kept& kept : kept_) {
    moved.push_back(moved_up(kept.fd.get(), above));
    names += (names.empty() ? "" : ":") + kept.name;
  }
  if (*other >= 0) *other = moved_up(*other, above);
  const int keeper = moved_up(theirs_.get(), above);
  for (size_t at = 0; at < moved.size(); ++at) {
    ::dup2(moved[at], kFirst + static_cast<int>(at));
    ::close(moved[at]);
  }
  ::setenv("POCKET_KEEPER", std::to_string(keeper).c_str(), 1);
  if (kept_.empty()) return;
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(kept_.size()).c_str(), 1);
  ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
}

}  // namespace pocket::supervisor
