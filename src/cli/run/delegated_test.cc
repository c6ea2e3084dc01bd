#include "cli/run/delegated.h"

#include <gtest/gtest.h>

#include <set>

namespace pocket::cli {
namespace {

std::string parent(const std::string& own, const std::set<std::string>& writable) {
  return delegated_parent("/cg", own,
                          [&](const std::string& path) { return writable.contains(path); });
}

TEST(DelegatedParent, NearestWritableAboveOwn) {
  const std::string manager = "/cg/user.slice/user@1.service";
  const std::set<std::string> delegated = {manager, manager + "/cgroup.procs",
                                           manager + "/app.slice",
                                           manager + "/app.slice/cgroup.procs"};
  EXPECT_EQ(parent(manager + "/app.slice/x.scope", delegated),
            "user.slice/user@1.service/app.slice");
  EXPECT_EQ(parent(manager + "/app.slice", delegated), "user.slice/user@1.service");
}

TEST(DelegatedParent, NoneWhereProcessesCannotBeMoved) {
  EXPECT_EQ(parent("/cg/a/b", {"/cg/a"}), "");
  EXPECT_EQ(parent("/cg/a/b", {"/cg/a/b", "/cg/a/b/cgroup.procs"}), "");
  EXPECT_EQ(parent("/cg/a/b", {"/cg", "/cg/cgroup.procs"}), "");
  EXPECT_EQ(parent("/cg", {"/cg", "/cg/cgroup.procs"}), "");
  EXPECT_EQ(parent("/cgroup2/a", {"/cgroup2", "/"}), "");
  EXPECT_EQ(parent("/elsewhere/a/b", {"/elsewhere/a", "/elsewhere/a/cgroup.procs"}), "");
}

}  // namespace
}  // namespace pocket::cli
