#include "daemon/identity.h"

#include <fnmatch.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "cgroup/label.h"
#include "cgroup/mounts.h"

namespace pocket::daemon {
namespace {

/// A pidfd is readable once its process has ended.
bool alive(const UniqueFd& pidfd) {
  if (!pidfd.valid()) return false;
  pollfd entry{pidfd.get(), POLLIN, 0};
  int count = 0;
  do {
    count = ::poll(&entry, 1, 0);
  } while (count < 0 && errno == EINTR);
  return count == 0;
}

/// The paths of /proc/PID/cgroup, each once; "/" says nothing.
std::string groups_in(const std::string& text) {
  std::vector<std::string> paths;
  for (const std::string& line : cgroup::split(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    if (path != "/" && std::ranges::find(paths, path) == paths.end()) {
      paths.push_back(std::move(path));
    }
  }
  std::string groups;
  for (const std::string& path : paths) groups += path + "\n";
  return groups;
}

/// From /proc/PID/status: more than one number means an inner pid namespace.
bool in_inner_pid_namespace(const std::string& status) {
  const size_t at = status.find("\nNSpid:");
  if (at == std::string::npos) return true;  // cannot be told
  const size_t begin = at + 7;
  std::string numbers = status.substr(begin, status.find('\n', begin) - begin);
  std::ranges::replace(numbers, '\t', ' ');
  const auto words = cgroup::split(numbers, ' ');
  return std::ranges::count_if(words, [](const std::string& word) { return !word.empty(); }) != 1;
}

/// Ids of the containers that the groups lie in.
std::vector<std::string> containers_in(const std::string& groups) {
  std::vector<std::string> ids;
  for (const std::string& path : cgroup::split(groups, '\n')) {
    if (std::string id = cgroup::container_id(path); !id.empty()) ids.push_back(std::move(id));
  }
  return ids;
}

bool shares_containers(const std::string& groups, const std::string& proc_root) {
  const auto theirs = containers_in(groups);
  if (theirs.empty()) return true;
  const auto own_text = cgroup::read_text(proc_root + "/self/cgroup");
  const auto own = containers_in(own_text.ok() ? groups_in(*own_text) : "");
  return std::ranges::all_of(
      theirs, [&](const std::string& id) { return std::ranges::find(own, id) != own.end(); });
}

}  // namespace

std::string ClientIdentity::group() const { return groups.substr(0, groups.find('\n')); }

bool ClientIdentity::is_same_client(const ClientIdentity& other) const {
  if (uid != other.uid || local != other.local) return false;
  return local || (!groups.empty() && groups == other.groups);
}

ClientIdentity identify(const ipc::PeerIdentity& peer, const std::string& socket,
                        const std::string& proc_root) {
  ClientIdentity client;
  client.uid = peer.uid;
  client.socket = socket;
  const std::string folder = proc_root + "/" + std::to_string(peer.pid);
  const auto groups = cgroup::read_text(folder + "/cgroup");
  const auto status = cgroup::read_text(folder + "/status");
  // Looked at last: what was read belongs to that process only if it has not ended meanwhile.
  if (peer.pid <= 0 || !groups.ok() || !status.ok() || !alive(peer.pidfd)) return client;
  client.groups = groups_in(*groups);
  client.local = !in_inner_pid_namespace(*status) && shares_containers(client.groups, proc_root);
  return client;
}

bool group_fits(const std::string& groups, const std::string& pattern) {
  for (const std::string& path : cgroup::split(groups, '\n')) {
    for (size_t end = path.find('/', 1); !path.empty(); end = path.find('/', end + 1)) {
      if (::fnmatch(pattern.c_str(), path.substr(0, end).c_str(), FNM_PATHNAME) == 0) return true;
      if (end == std::string::npos) break;
    }
  }
  return false;
}

bool container_fits(const std::string& groups, const std::string& pattern) {
  for (const std::string& path : cgroup::split(groups, '\n')) {
    if (path.empty()) continue;
    const std::string id = cgroup::container_id(path);
    if (!id.empty() && ::fnmatch(pattern.c_str(), id.c_str(), 0) == 0) return true;
    const std::string name = cgroup::container_of(path);
    const bool told = !name.starts_with("group ") && name != "root group";
    if (told && ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return true;
  }
  return false;
}

}  // namespace pocket::daemon
