// For tests: a folder that looks like a machine's /proc and cgroup trees.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace pocket::cgroup {

/// A temporary machine, removed at the end. Paths given to it are absolute, below path().
class FakeTree {
 public:
  FakeTree() {
    char pattern[] = "/tmp/pocket-cgroup-XXXXXX";
    path_ = ::mkdtemp(pattern);
    write(proc() + "/self/mountinfo", "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n");
    process("self", "");
  }
  FakeTree(const FakeTree&) = delete;
  FakeTree& operator=(const FakeTree&) = delete;
  ~FakeTree() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string proc() const { return path_ + "/proc"; }

  void write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file) << text;
  }
  std::string read(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }

  /// Mounts a v1 tree and returns where. `root` is the group it shows at its top.
  std::string mount_v1(const std::string& controllers, const std::string& root = "/",
                       const std::string& access = "rw") {
    const std::string point = path_ + "/sys/" + controllers;
    add_mount(root, point, access, "cgroup cgroup rw," + controllers);
    if (root == "/") write(point + "/release_agent", "");
    write(point + "/cgroup.procs", "");
    return point;
  }
  std::string mount_v2(const std::string& controllers, const std::string& root = "/",
                       const std::string& access = "rw", const std::string& name = "unified") {
    const std::string point = path_ + "/sys/" + name;
    add_mount(root, point, access, "cgroup2 cgroup2 rw,nsdelegate");
    if (root != "/") write(point + "/cgroup.events", "populated 1\nfrozen 0\n");
    write(point + "/cgroup.controllers", controllers + "\n");
    write(point + "/cgroup.subtree_control", controllers + "\n");
    write(point + "/cgroup.procs", "");
    return point;
  }
  void add_mount(const std::string& root, const std::string& point, const std::string& access,
                 const std::string& filesystem) {
    std::filesystem::create_directories(point);
    std::ofstream(proc() + "/self/mountinfo", std::ios::app)
        << "40 31 0:36 " << root << " " << point << " " << access << ",nosuid shared:7 - "
        << filesystem << "\n";
  }

  /// A process with this /proc/PID/cgroup; `flags` are the kernel's task flags.
  void process(const std::string& pid, const std::string& groups, unsigned flags = 0x400000) {
    write(proc() + "/" + pid + "/cgroup", groups);
    write(proc() + "/" + pid + "/stat",
          "1 (a) name) S 1 1 1 0 -1 " + std::to_string(flags) + " 0\n");
  }

  std::string v1_cpu(const std::string& group, const std::string& quota,
                     const std::string& period) {
    write(group + "/cgroup.procs", "");
    write(group + "/cpu.cfs_quota_us", quota + "\n");
    write(group + "/cpu.cfs_period_us", period + "\n");
    return group;
  }
  std::string v1_memory(const std::string& group, const std::string& limit) {
    write(group + "/cgroup.procs", "");
    write(group + "/memory.limit_in_bytes", limit + "\n");
    return group;
  }
  std::string v2_group(const std::string& group, const std::string& cpu,
                       const std::string& memory) {
    write(group + "/cgroup.procs", "");
    write(group + "/cgroup.events", "populated 1\nfrozen 0\n");
    if (!cpu.empty()) write(group + "/cpu.max", cpu + "\n");
    if (!memory.empty()) write(group + "/memory.max", memory + "\n");
    return group;
  }

 private:
  std::string path_;
};

}  // namespace pocket::cgroup
