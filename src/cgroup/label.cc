#include "cgroup/label.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "cgroup/mounts.h"

namespace pocket::cgroup {
namespace {

constexpr size_t kShownDigits = 12;
constexpr size_t kIdDigits = 64;

bool is_id(std::string_view text) {
  return text.size() == kIdDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct Engine {
  std::string_view prefix;  // "docker-ID.scope" (systemd) or "libpod-ID" (cgroupfs)
  std::string_view name;
};

constexpr Engine kEngines[] = {{"docker-", "docker"},
                               {"libpod-", "podman"},
                               {"cri-containerd-", "containerd"},
                               {"nerdctl-", "containerd"},
                               {"crio-", "cri-o"}};

/// The container id in one name of the path and its engine; an empty id when there is none.
struct Container {
  std::string_view engine;
  std::string_view id;
};

Container container_in(const std::vector<std::string>& names, size_t at) {
  std::string_view name = names[at];
  const std::string_view parent = at > 0 ? std::string_view(names[at - 1]) : "";
  if (name.ends_with(".scope")) name.remove_suffix(6);
  for (const Engine& engine : kEngines) {
    if (name.starts_with(engine.prefix) && is_id(name.substr(engine.prefix.size()))) {
      return {engine.name, name.substr(engine.prefix.size())};
    }
  }
  if (!is_id(name)) return {};
  if (parent == "docker") return {"docker", name};
  if (parent == "libpod_parent") return {"podman", name};
  // containerd's cgroupfs paths are /NAMESPACE/ID; its customers' namespaces have known names.
  if (parent == "k8s.io" || parent == "default" || parent == "moby") return {"containerd", name};
  return {"container", name};
}

Container innermost(const std::vector<std::string>& names) {
  Container container;
  for (size_t at = names.size(); at > 0 && container.id.empty(); --at) {
    container = container_in(names, at - 1);
  }
  return container;
}

/// The pod's uid in "pod1234-..." or "kubepods-burstable-pod1234_....slice"; "" when none.
std::string pod_in(std::string name) {
  if (name.starts_with("kubepods")) {
    const size_t at = name.find("-pod");
    if (at == std::string::npos || !name.ends_with(".slice")) return "";
    name = name.substr(at + 1, name.size() - at - 1 - 6);
    std::replace(name.begin(), name.end(), '_', '-');
  }
  return name.starts_with("pod") && name.size() > 3 ? name.substr(3) : "";
}

std::string kubernetes_label(const std::vector<std::string>& names, std::string_view container) {
  std::string pod;
  bool inside = false;
  for (const std::string& name : names) {
    inside = inside || name == "kubepods" || name.starts_with("kubepods");
    if (inside && pod.empty()) pod = pod_in(name);
  }
  if (pod.empty()) return "";
  std::string label = "kubernetes pod " + pod;
  if (!container.empty()) label += " container " + std::string(container);
  return label;
}

}  // namespace

std::string container_id(const std::string& path) {
  const std::vector<std::string> names = split(path, '/');
  return std::string(innermost(names).id);
}

std::string container_of(const std::string& path) {
  const std::vector<std::string> names = split(path, '/');
  if (names.empty()) return "root group";
  const Container container = innermost(names);
  const std::string_view id = container.id.substr(0, kShownDigits);
  if (std::string label = kubernetes_label(names, id); !label.empty()) return label;
  if (!id.empty()) return std::string(container.engine) + " " + std::string(id);
  for (const char* kind : {".service", ".scope", ".slice"}) {
    for (size_t at = names.size(); at > 0; --at) {
      if (names[at - 1].ends_with(kind)) return "systemd " + names[at - 1];
    }
  }
  return "group " + (path.starts_with('/') ? path : "/" + path);
}

}  // namespace pocket::cgroup
