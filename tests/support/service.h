// A real pocketd for tests: started from the build folder with models of the test's own, and ended,
// with a look at what it left behind.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pocket::testing {

/// Writes files below `root`, making folders as needed.
void write_file(const std::string& path, const std::string& text);

/// One thread. The destructor ends the service and removes its folder, also after a failed test.
class TestService {
 public:
  TestService();
  ~TestService();
  TestService(const TestService&) = delete;
  TestService& operator=(const TestService&) = delete;

  /// models/<name>/1/model.null with this text.
  void add_null_model(const std::string& name, const std::string& text);
  /// Starts pocketd and waits until it says that it is ready; false when it ended instead.
  bool start(const std::vector<std::string>& more_arguments = {});
  /// As start(), with a supervisor that starts pocketd again when it dies; pid() is the
  /// supervisor's.
  bool start_supervised(const std::vector<std::string>& more_arguments = {});
  /// SIGTERM, then waits; the exit status, or -1 when it had to be killed.
  int stop();
  void kill_now();

  const std::string& folder() const { return folder_; }
  std::string socket() const { return folder_ + "/pocket.sock"; }
  std::string models() const { return folder_ + "/models"; }
  std::string log() const;
  pid_t pid() const { return pid_; }
  /// Processes whose parent is pocketd.
  std::vector<pid_t> runners() const;

 private:
  bool launch(std::vector<std::string> command, const std::vector<std::string>& more_arguments);
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace pocket::testing
