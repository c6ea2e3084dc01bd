#include "cgroup/mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.h"

namespace pocket::cgroup {
namespace {

/// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '7' ? text[at] - '0' : -1;
    };
    if (text[i] == '\\' && digit(i + 1) >= 0 && digit(i + 2) >= 0 && digit(i + 3) >= 0) {
      plain += static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// A group's path as steps up from the namespace's own group, then names down.
struct Steps {
  size_t up = 0;
  std::vector<std::string> names;
};

Steps steps_of(const std::string& path) {
  Steps steps;
  for (std::string& name : split(path, '/')) {
    if (name == ".." && steps.names.empty()) {
      ++steps.up;
    } else {
      steps.names.push_back(std::move(name));
    }
  }
  return steps;
}

std::optional<Mount> parse_line(const std::string& line) {
  // "36 35 98:0 /root /mount/point rw,noatime optional:1 - type source rw,options"
  const std::vector<std::string> fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (fields.size() < 6 || fields.end() - dash < 3) return std::nullopt;
  const std::string& type = dash[1];
  if (type != "cgroup" && type != "cgroup2") return std::nullopt;
  // The last field: the source between may be empty, and then is no field here.
  const std::vector<std::string> options = split(fields.back(), ',');
  Mount mount;
  mount.root = unescape(fields[3]);
  mount.point = unescape(fields[4]);
  mount.v2 = type == "cgroup2";
  mount.read_only = contains(split(fields[5], ','), "ro") || contains(options, "ro");
  if (!mount.v2) mount.controllers = options;
  return mount;
}

bool more_useful(const Mount& a, const Mount& b) {
  if (a.read_only != b.read_only) return !a.read_only;
  const Steps ours = steps_of(a.root);
  const Steps theirs = steps_of(b.root);
  if (ours.up != theirs.up) return ours.up > theirs.up;
  return ours.names.size() < theirs.names.size();
}

}  // namespace

bool Mount::has(const std::string& controller) const { return contains(controllers, controller); }

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find(separator, start), text.size());
    if (end > start) pieces.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return pieces;
}

std::vector<Mount> parse_mounts(const std::string& mountinfo) {
  std::vector<Mount> mounts;
  for (const std::string& line : split(mountinfo, '\n')) {
    auto mount = parse_line(line);
    if (!mount) continue;
    std::erase_if(mounts, [&](const Mount& other) { return other.point == mount->point; });
    const auto same = std::find_if(mounts.begin(), mounts.end(), [&](const Mount& other) {
      return other.v2 == mount->v2 && other.controllers == mount->controllers;
    });
    if (same == mounts.end()) {
      mounts.push_back(*mount);
    } else if (more_useful(*mount, *same)) {
      *same = *mount;
    }
  }
  return mounts;
}

std::optional<std::string> path_below(const Mount& mount, const std::string& group) {
  const Steps root = steps_of(mount.root);
  const Steps steps = steps_of(group);
  // With more steps up in the mount's root, the names in between are not known in this namespace.
  if (root.up != steps.up || root.names.size() > steps.names.size() ||
      !std::equal(root.names.begin(), root.names.end(), steps.names.begin())) {
    return std::nullopt;
  }
  std::string path = mount.point;
  for (size_t i = root.names.size(); i < steps.names.size(); ++i) {
    if (steps.names[i] == "..") return std::nullopt;
    path += "/" + steps.names[i];
  }
  return path;
}

Result<std::string> read_text(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errno_error("open '" + path + "'", errno);
  std::string text;
  char part[4096];
  while (true) {
    const ssize_t n = ::read(file.get(), part, sizeof(part));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read '" + path + "'", errno);
    if (n == 0) return text;
    text.append(part, static_cast<size_t>(n));
  }
}

}  // namespace pocket::cgroup
