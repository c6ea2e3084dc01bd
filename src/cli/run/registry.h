// The registry of runs: a folder with one file NAME.json for each, written whole (rename).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/run/record.h"

namespace pocket::cli {

/// One thread. Several processes may use the folder at once: changes of the set of names happen
/// under a lock of the folder, which is held only for them.
class Registry {
 public:
  /// Makes the folder where it is missing: $XDG_RUNTIME_DIR/pocket-run, for root /run/pocket-run,
  /// else /tmp/pocket-run-UID. Refuses a folder that another user can write to.
  static Result<Registry> open();

  /// Takes `count` names for new runs and writes a record for each, `base` with another name.
  /// `wanted`: the name, or, for several, what stands before "-1", "-2"; refused where one of them
  /// runs. Empty: the first free ones of `program`-1, `program`-2, ...
  Result<std::vector<Record>> claim(const Record& base, const std::string& wanted,
                                    const std::string& program, int count);

  /// Replaces the file of a run that this process claimed or whose supervisor is gone. Returns the
  /// file, whose lock tells whether somebody waits for the run (see release()).
  Result<UniqueFd> save(const Record& record);

  /// Removes the file where it is still that run's.
  void remove(const Record& record);
  /// As remove(), but leaves the file to those who wait for the run: `watched` is what save() or
  /// open_for_waiting() returned. False: somebody waits.
  bool release(const Record& record, const UniqueFd& watched);
  /// Opens the file of a run and marks it as waited for. NOT_FOUND where there is none.
  Result<UniqueFd> open_for_waiting(const std::string& name) const;

  /// NOT_FOUND names what there is.
  Result<Record> load(const std::string& name) const;
  /// All runs by name. Files that are no records, and those of an earlier start of the machine,
  /// are removed: what they tell of is gone.
  std::vector<Record> load_all();

  const std::string& folder() const { return folder_; }

 private:
  explicit Registry(std::string folder) : folder_(std::move(folder)) {}
  std::string path(const std::string& name) const { return folder_ + "/" + name + ".json"; }
  Result<UniqueFd> lock() const;
  Result<UniqueFd> write(const Record& record) const;
  std::string folder_;
};

}  // namespace pocket::cli
