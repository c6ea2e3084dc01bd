// The group of one run: it keeps the run's limits, counts what it uses, and ends what it left.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/run/record.h"

namespace pocket::cli {

/// Move-only; the destructor kills what is in the group and removes it, unless the group is
/// only read.
class RunGroup {
 public:
  /// The name of the group that create() shall make for a run: at the top of the tree, or, where
  /// this user may not make groups there, in the part that was delegated to him (v2).
  static std::string choose_name(const std::string& run);
  /// Makes the group `name` with these limits. PERMISSION_DENIED and UNAVAILABLE: this
  /// user or this machine cannot have one; the message says what to do.
  static Result<RunGroup> create(const std::string& name, const Limits& limits);
  /// The group that create() made in another process, by its name(). NOT_FOUND: it is gone.
  static Result<RunGroup> open(const std::string& name);
  /// As open(), but left as it is by the destructor.
  static Result<RunGroup> open_to_read(const std::string& name);
  /// The group a process is in, only to be read.
  static Result<RunGroup> of_process(pid_t process);

  RunGroup(RunGroup&&) noexcept;
  RunGroup& operator=(RunGroup&&) = delete;
  ~RunGroup();

  Result<void> add(pid_t process);
  /// Files into which a child with one thread writes "0" to come into the group by itself; empty:
  /// only add() can do it. On v1, add() waits until every processor has passed through the kernel
  /// (10 ms); a thread that moves itself does not.
  std::vector<std::string> join_files() const;
  /// So far; a figure that the kernel does not give is absent.
  Usage usage();

  const std::string& name() const { return name_; }

 private:
  struct Parts;
  RunGroup(std::string name, std::unique_ptr<Parts> parts);
  std::string name_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace pocket::cli
