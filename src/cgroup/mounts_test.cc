#include "cgroup/mounts.h"

#include <gtest/gtest.h>

namespace pocket::cgroup {
namespace {

TEST(Mounts, ReadsBothVersionsAndIgnoresTheRest) {
  const auto mounts = parse_mounts(
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "30 22 0:27 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n"
      "33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:11 - cgroup cgroup rw,cpu,cpuacct\n"
      "34 30 0:31 /docker/1 /a\\040b ro,nosuid - cgroup  rw,memory\n"
      "35 30 0:32 / /sys/fs/cgroup/unified rw master:2 propagate_from:3 - cgroup2 none rw\n"
      "36 30\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[0].point, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_TRUE(mounts[0].has("cpu") && mounts[0].has("cpuacct") && !mounts[0].has("cpuset"));
  EXPECT_FALSE(mounts[0].v2 || mounts[0].read_only);
  EXPECT_EQ(mounts[1].point, "/a b");
  EXPECT_EQ(mounts[1].root, "/docker/1");
  EXPECT_TRUE(mounts[1].read_only && mounts[1].has("memory"));
  EXPECT_TRUE(mounts[2].v2);
  EXPECT_TRUE(parse_mounts("").empty());
}

TEST(Mounts, KeepsTheMostUsefulOfSeveralAndNotTheHidden) {
  const std::string own = "1 0 0:1 /docker/1 /own ro - cgroup cgroup rw,cpu\n";
  const std::string host = "2 0 0:1 / /host ro - cgroup cgroup rw,cpu\n";
  const std::string writable = "3 0 0:1 /docker/1 /w rw - cgroup cgroup rw,cpu\n";
  EXPECT_EQ(parse_mounts(own + host).at(0).point, "/host");
  EXPECT_EQ(parse_mounts(host + own).at(0).point, "/host");
  EXPECT_EQ(parse_mounts(host + writable + own).at(0).point, "/w");
  EXPECT_EQ(parse_mounts("1 0 0:1 /../.. /up rw - cgroup2 x rw\n2 0 0:1 / /own rw - cgroup2 x rw\n")
                .at(0)
                .point,
            "/up");
  const auto covered =
      parse_mounts("1 0 0:1 / /x rw - cgroup2 x rw\n2 0 0:2 / /x rw - cgroup x rw,cpu\n");
  ASSERT_EQ(covered.size(), 1u);
  EXPECT_FALSE(covered[0].v2);
}

std::string below(const std::string& root, const std::string& group) {
  Mount mount;
  mount.point = "/mnt";
  mount.root = root;
  return path_below(mount, group).value_or("not visible");
}

TEST(Mounts, FindsGroupsBelowWholeAndPartialMounts) {
  EXPECT_EQ(below("/", "/"), "/mnt");
  EXPECT_EQ(below("/", "/docker/1"), "/mnt/docker/1");
  EXPECT_EQ(below("/docker/1", "/docker/1"), "/mnt");
  EXPECT_EQ(below("/docker/1", "/docker/1/sub"), "/mnt/sub");
  EXPECT_EQ(below("/docker/1", "/docker/12"), "not visible");
  EXPECT_EQ(below("/docker/1", "/"), "not visible");
  // In a cgroup namespace: ".." are levels above the group the namespace began in.
  EXPECT_EQ(below("/", "/../other"), "not visible");
  EXPECT_EQ(below("/..", "/../other"), "/mnt/other");
  EXPECT_EQ(below("/../..", "/../../a/b"), "/mnt/a/b");
  EXPECT_EQ(below("/../..", "/../b"), "not visible");  // the name of the level between is unknown
  EXPECT_EQ(below("/", "/a/../../etc"), "not visible");
}

}  // namespace
}  // namespace pocket::cgroup
