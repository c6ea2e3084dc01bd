// The limit files of the lease room, backed by real groups.
#pragma once

#include "cgroup/host.h"
#include "lease/driver.h"

namespace pocket::daemon {

/// Names are the groups' absolute paths. One thread; outlives the book that uses it.
class CgroupDriver final : public lease::Driver {
 public:
  explicit CgroupDriver(const cgroup::Host& host) : host_(host) {}
  Result<std::unique_ptr<lease::LimitFile>> open(lease::Resource resource,
                                                 const std::string& name) override;

 private:
  const cgroup::Host& host_;
};

}  // namespace pocket::daemon
