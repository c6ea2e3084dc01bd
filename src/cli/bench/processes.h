// App processes started, released together and read to their end, for benchmarks.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cgroup/owned_group.h"

namespace pocket::cli {

/// One running program with pipes to its standard input and output. Killed by the destructor where
/// it still runs, and by the kernel where this process dies first.
class AppProcess {
 public:
  /// `environment`: K=V beside what is inherited. With a group it runs in that from its first
  /// instruction on.
  static Result<AppProcess> start(std::vector<std::string> arguments,
                                  const std::vector<std::string>& environment = {},
                                  cgroup::OwnedGroup* group = nullptr);
  AppProcess(AppProcess&& other) noexcept;
  AppProcess& operator=(AppProcess&&) = delete;
  ~AppProcess();

  /// Waits for the line 'ready' of an app with --gate.
  Result<void> wait_until_ready();
  /// Lets it go on.
  void release();
  /// Its JSON, once it has ended.
  Result<nlohmann::json> finish();

  pid_t pid() const { return pid_; }
  uint64_t started_ns() const { return started_ns_; }

 private:
  AppProcess() = default;
  Result<std::string> read_line();
  std::string name_;
  pid_t pid_ = -1;
  uint64_t started_ns_ = 0;
  UniqueFd input_, output_;
  std::string buffer_;
};

}  // namespace pocket::cli
