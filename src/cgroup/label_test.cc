#include "cgroup/label.h"

#include <gtest/gtest.h>

namespace pocket::cgroup {
namespace {

const std::string kId = "1f3a5b7c9d0e" + std::string(52, 'a');
const std::string kInner = "0123456789ab" + std::string(52, 'c');

TEST(Label, NamesContainersOfEveryEngine) {
  EXPECT_EQ(container_of("/docker/" + kId), "docker 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/system.slice/docker-" + kId + ".scope"), "docker 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/docker/" + kId + "/docker/" + kInner + "/sub"), "docker 0123456789ab");
  EXPECT_EQ(container_of("/machine.slice/libpod-" + kId + ".scope/container"),
            "podman 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId +
                         ".scope"),
            "podman 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/libpod_parent/libpod-" + kId), "podman 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/k8s.io/" + kId), "containerd 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/system.slice/cri-containerd-" + kId + ".scope"),
            "containerd 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/system.slice/nerdctl-" + kId + ".scope"), "containerd 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/machine.slice/crio-" + kId + ".scope"), "cri-o 1f3a5b7c9d0e");
}

TEST(Label, NamesPods) {
  const std::string uid = "0b5c1e2d-1111-2222-3333-444455556666";
  EXPECT_EQ(container_of("/kubepods/burstable/pod" + uid + "/" + kId),
            "kubernetes pod " + uid + " container 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/kubepods.slice/kubepods-besteffort.slice/"
                         "kubepods-besteffort-pod0b5c1e2d_1111_2222_3333_444455556666.slice/"
                         "cri-containerd-" +
                         kId + ".scope"),
            "kubernetes pod " + uid + " container 1f3a5b7c9d0e");
  EXPECT_EQ(container_of("/kubepods.slice/kubepods-pod0b5c1e2d_1111_2222_3333_444455556666.slice"),
            "kubernetes pod " + uid);
  EXPECT_EQ(container_of("/kubepods.slice/kubepods-burstable.slice"),
            "systemd kubepods-burstable.slice");
}

TEST(Label, TheInnermostContainerHasTheWholeId) {
  EXPECT_EQ(container_id("/docker/" + kId), kId);
  EXPECT_EQ(container_id("/docker/" + std::string(64, 'b') + "/docker/" + kId + "/x"), kId);
  EXPECT_EQ(container_id("/system.slice/docker-" + kId + ".scope"), kId);
  EXPECT_EQ(container_id("/docker/short"), "");
  EXPECT_EQ(container_id("/"), "");
}

TEST(Label, NamesServicesAndBareGroups) {
  EXPECT_EQ(container_of("/system.slice/foo.service"), "systemd foo.service");
  EXPECT_EQ(container_of("/system.slice/foo.service/workers"), "systemd foo.service");
  EXPECT_EQ(container_of("/user.slice/user-1000.slice/session-3.scope"), "systemd session-3.scope");
  EXPECT_EQ(container_of("/user.slice"), "systemd user.slice");
  EXPECT_EQ(container_of("/pocket/runner-1"), "group /pocket/runner-1");
  EXPECT_EQ(container_of("/docker/short"), "group /docker/short");
  EXPECT_EQ(container_of("/"), "root group");
  EXPECT_EQ(container_of(""), "root group");
  EXPECT_EQ(container_of("/podium"), "group /podium");
}

}  // namespace
}  // namespace pocket::cgroup
