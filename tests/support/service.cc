#include "service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace pocket::testing {
namespace {

namespace fs = std::filesystem;

/// Waits for a process to end, up to `timeout_ms`; its wait status, or -1.
int wait_for_end(pid_t pid, int timeout_ms) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  pollfd entry{pidfd, POLLIN, 0};
  const int ended = ::poll(&entry, 1, timeout_ms);
  ::close(pidfd);
  int status = 0;
  if (ended != 1 || ::waitpid(pid, &status, 0) != pid) return -1;
  return status;
}

/// What a sanitizer found in the service or a runner is a failure of the test that ran them.
void fail_on_sanitizer_reports(const std::string& log) {
  for (const char* sign : {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                           "WARNING: ThreadSanitizer", ": runtime error: "}) {
    if (log.find(sign) != std::string::npos) {
      ADD_FAILURE() << "the service or a runner was found at fault:\n" << log;
      return;
    }
  }
}

}  // namespace

void write_file(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

TestService::TestService() {
  std::string pattern = (fs::temp_directory_path() / "pocket-test-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  fs::create_directories(models());
}

TestService::~TestService() {
  if (pid_ > 0) stop();
  fail_on_sanitizer_reports(log());
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void TestService::add_null_model(const std::string& name, const std::string& text) {
  write_file(models() + "/" + name + "/1/model.null", text);
}

bool TestService::start(const std::vector<std::string>& more_arguments) {
  return launch({POCKETD_PATH}, more_arguments);
}

bool TestService::start_supervised(const std::vector<std::string>& more_arguments) {
  return launch({POCKET_SUPERVISOR_PATH, "--ready-fd", "", POCKETD_PATH}, more_arguments);
}

bool TestService::launch(std::vector<std::string> command,
                         const std::vector<std::string>& more_arguments) {
  int ready[2];
  if (::pipe(ready) != 0) return false;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ready[0]);
    const int log_fd = ::open((folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(log_fd, 1);
    ::dup2(log_fd, 2);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that is killed leaves no service
    const std::string ready_fd = std::to_string(ready[1]);
    const bool supervised = command.size() > 1;
    if (supervised) command[2] = ready_fd;
    std::vector<std::string> arguments = std::move(command);
    arguments.insert(arguments.end(), {"--socket", socket(), "--models", models()});
    if (!supervised) arguments.insert(arguments.end(), {"--ready-fd", ready_fd});
    arguments.insert(arguments.end(), more_arguments.begin(), more_arguments.end());
    std::vector<char*> raw;
    for (auto& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  ::close(ready[1]);
  char text[6];
  const ssize_t bytes = ::read(ready[0], text, sizeof(text));
  ::close(ready[0]);
  return bytes > 0;
}

int TestService::stop() {
  if (pid_ <= 0) return -1;
  ::kill(pid_, SIGTERM);
  int status = wait_for_end(pid_, 20'000);
  if (status == -1) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
  return status == -1 ? -1 : (WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void TestService::kill_now() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string TestService::log() const {
  std::ifstream file(folder_ + "/log");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<pid_t> TestService::runners() const {
  const std::string pid = std::to_string(pid_);
  std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> pids;
  for (pid_t child = 0; file >> child;) pids.push_back(child);
  return pids;
}

}  // namespace pocket::testing
