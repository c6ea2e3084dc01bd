// A pocketd of the command's own, for benchmarks that need a service with known models.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cli {

/// pocketd beside this program, else the one on PATH.
std::string find_pocketd();
/// The folder this program lies in.
std::string program_folder();

/// Lives in a folder of its own under /tmp; the destructor ends the service and removes the folder.
class LocalService {
 public:
  /// Its folder is <temporary folder>/<this>-<pid>-<random>.
  static constexpr const char* kFolderPrefix = "pocket-service";

  /// Starts pocketd over `models` (empty: the folder's own, to be filled with add_null_model before
  /// start()). The service ends when this process does, whatever ends it.
  static Result<std::unique_ptr<LocalService>> create(const std::string& models = "");
  ~LocalService();
  LocalService(const LocalService&) = delete;
  LocalService& operator=(const LocalService&) = delete;

  /// models/<name>/1/model.null with this text.
  Result<void> add_null_model(const std::string& name, const std::string& text);
  /// models/<name>/model.toml with this text.
  Result<void> add_manifest(const std::string& name, const std::string& text);
  /// A configuration file with this text, in the service's folder; its path.
  Result<std::string> write_config(const std::string& text);
  /// Returns once the service is ready.
  Result<void> start(const std::vector<std::string>& more_arguments = {});
  /// Ends the service and waits for it; start() may follow.
  void stop();

  std::string socket() const { return folder_ + "/pocket.sock"; }
  pid_t pid() const { return pid_; }

 private:
  LocalService() = default;
  std::string folder_;
  std::string models_;
  pid_t pid_ = -1;
};

}  // namespace pocket::cli
