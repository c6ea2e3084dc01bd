#include "sandbox/file_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace pocket::sandbox {
namespace {

namespace fs = std::filesystem;

// Only in this process's namespace: anything that is everywhere will do.
constexpr const char* kBase = "/tmp";
constexpr const char* kOld = "/.host";

// What engines and the C library ask about the processors, and the loader's list of libraries.
constexpr const char* kDescriptions[] = {"/sys/devices/system/cpu", "/sys/devices/system/node",
                                         "/etc/ld.so.cache", "/etc/localtime"};
constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/urandom"};

enum class Kind { kReadOnly, kWritable, kDevice };

/// The flags that a mount has already, which a user namespace may not take away.
unsigned long kept_flags(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) return 0;
  unsigned long flags = 0;
  if ((status.f_flag & ST_NOSUID) != 0) flags |= MS_NOSUID;
  if ((status.f_flag & ST_NODEV) != 0) flags |= MS_NODEV;
  if ((status.f_flag & ST_NOEXEC) != 0) flags |= MS_NOEXEC;
  if ((status.f_flag & ST_RDONLY) != 0) flags |= MS_RDONLY;
  if ((status.f_flag & ST_NOATIME) != 0) flags |= MS_NOATIME;
  if ((status.f_flag & ST_NODIRATIME) != 0) flags |= MS_NODIRATIME;
  if ((status.f_flag & ST_RELATIME) != 0) flags |= MS_RELATIME;
  return flags;
}

/// Shows `source`, a path below kOld, at `path`.
Result<void> show_at(const std::string& source, const std::string& path, Kind kind) {
  struct stat status {};
  if (::stat(source.c_str(), &status) != 0) return ok_result();  // the host has none
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (S_ISDIR(status.st_mode)) {
    fs::create_directory(path, error);
  } else {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    if (file >= 0) ::close(file);
  }
  // What is mounted below it comes along only where the kernel insists (a user namespace).
  if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0 &&
      ::mount(source.c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return errno_error(fmt::format("showing '{}' to the runner", path), errno);
  }
  if (kind == Kind::kDevice) return ok_result();
  unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | kept_flags(path);
  if (kind == Kind::kReadOnly) flags |= MS_RDONLY;
  if (::mount(nullptr, path.c_str(), nullptr, flags, nullptr) != 0) {
    return errno_error(fmt::format("showing '{}' to the runner read-only", path), errno);
  }
  return ok_result();
}

struct Shown {
  std::string source;  // on the host, without symbolic links
  std::string path;
  Kind kind;
};

/// Links are followed on the host, where they lead to the right place; the real place is shown too,
/// for those who look it up.
void add(std::vector<Shown>& list, const std::string& path, Kind kind) {
  std::error_code error;
  const std::string real = fs::canonical(path, error).string();
  if (error) return;
  const std::string plain = fs::path(path).lexically_normal().string();
  list.push_back({real, plain, kind});
  if (real != plain && kind != Kind::kDevice) list.push_back({real, real, kind});
}

std::vector<Shown> everything(const FileTree& tree) {
  std::vector<Shown> list;
  for (const auto& path : tree.shown) add(list, path, Kind::kReadOnly);
  for (const char* path : kDescriptions) add(list, path, Kind::kReadOnly);
  for (const auto& path : tree.writable) add(list, path, Kind::kWritable);
  for (const char* path : kDevices) add(list, path, Kind::kDevice);
  // Folders before what lies in them, which they would cover else.
  std::ranges::stable_sort(list, {}, [](const Shown& shown) { return shown.path; });
  const auto same = [](const Shown& a, const Shown& b) {
    return a.path == b.path && a.kind == b.kind;
  };
  list.erase(std::unique(list.begin(), list.end(), same), list.end());
  return list;
}

/// A place inside of a folder that is shown with it needs no mount of its own.
bool comes_with(const Shown& inner, const Shown& outer) {
  return inner.kind == outer.kind && inner.path.starts_with(outer.path + "/") &&
         inner.source == outer.source + inner.path.substr(outer.path.size());
}

/// The namespace's own where there is one. Without a PID namespace the processes are visible
/// anyway; with one whose /proc the kernel refuses, only what engines ask of the machine is shown.
Result<void> show_proc(bool own) {
  const std::string old = std::string(kOld) + "/proc";
  if (!own && ::getpid() == 1) {
    POCKET_RETURN_IF_ERROR(show_at(old + "/cpuinfo", "/proc/cpuinfo", Kind::kReadOnly));
    return show_at(old + "/meminfo", "/proc/meminfo", Kind::kReadOnly);
  }
  if (::mkdir("/proc", 0555) != 0) return errno_error("making /proc", errno);
  if (::mount(old.c_str(), "/proc", nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return errno_error("showing /proc to the runner", errno);
  }
  return ok_result();
}

}  // namespace

Result<void> enter_file_tree(const FileTree& tree, bool& undone) {
  undone = true;
  const std::vector<Shown> list = everything(tree);
  if (::unshare(CLONE_NEWNS) != 0) return errno_error("making a mount namespace", errno);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno_error("keeping mounts from the host", errno);
  }
  // Only while the host's is still visible does the kernel let a user namespace have its own.
  constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const bool own_proc = ::getpid() == 1 && ::mount("proc", "/proc", "proc", kPlain, nullptr) == 0;
  if (::mount("pocket-runner", kBase, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") != 0) {
    return errno_error("mounting the runner's file tree", errno);
  }
  const std::string old = std::string(kBase) + kOld;
  const bool made = ::mkdir(old.c_str(), 0700) == 0;
  if (!made || ::syscall(SYS_pivot_root, kBase, old.c_str()) != 0) {
    // An initial RAM file system, for one, cannot be left (EINVAL): all is as it was before.
    Error why = errno_error(made ? "leaving the host's root (pivot_root)" : "mkdir", errno);
    ::umount2(kBase, MNT_DETACH);
    if (own_proc) ::umount2("/proc", MNT_DETACH);
    return why;
  }
  undone = false;
  if (::chdir("/") != 0) return errno_error("chdir", errno);
  ::umask(022);
  const Shown* last = nullptr;
  for (const Shown& shown : list) {
    if (last != nullptr && comes_with(shown, *last)) continue;
    POCKET_RETURN_IF_ERROR(show_at(kOld + shown.source, shown.path, shown.kind));
    last = &shown;
  }
  POCKET_RETURN_IF_ERROR(show_proc(own_proc));
  if (::umount2(kOld, MNT_DETACH) != 0) return errno_error("leaving the host's files", errno);
  ::rmdir(kOld);
  constexpr unsigned long kFinal = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (::mount(nullptr, "/", nullptr, kFinal, nullptr) != 0) {
    return errno_error("making the runner's files read-only", errno);
  }
  return ok_result();
}

}  // namespace pocket::sandbox
