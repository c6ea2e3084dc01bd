// A program between fork and exec: it exists, so that it can be put where it belongs, and runs
// nothing of its own before it is told to.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::cli {

struct Program {
  std::vector<std::string> command;      // found on PATH
  std::vector<std::string> environment;  // K=V, beside what is inherited
  std::string workdir;                   // empty: this one
  std::vector<int> cpus;                 // empty: all
  std::vector<std::string> join_files;   // of the group it moves itself into (RunGroup)
  std::optional<int> output;  // where stdout and stderr go, with no stdin; else inherited
};

/// Move-only; a child that has not ended is killed by the destructor, and by the kernel where this
/// process dies first.
class Child {
 public:
  /// Forks. The caller must have one thread and must have blocked the signals it waits for: the
  /// child has none blocked.
  static Result<Child> create(const Program& program);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// Lets it run its program; the moment of exec (monotonic_ns), or why it could not be started.
  Result<uint64_t> execute();
  /// To be called once somebody has waited for it.
  void ended() { pid_ = -1; }

  pid_t pid() const { return pid_; }

 private:
  Child() = default;
  std::string command_, workdir_;
  pid_t pid_ = -1;
  UniqueFd go_, failure_;
  UniqueFd go_reader_;  // kept: a write to a pipe that a dead child left would kill this process
};

}  // namespace pocket::cli
