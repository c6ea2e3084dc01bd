// An engine that does what a hostile model would want an engine to do. Its model file is one line,
// `ATTACK [ARGUMENT]`; loading it tries that, and always fails with what came of it: "done: ..."
// when nothing stood in the way, else "stopped: ..." with the kernel's words.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "pocket/engine.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace {

std::string done(const std::string& what) { return "done: " + what; }
std::string stopped(const char* what) {
  return std::string("stopped: ") + what + ": " + std::strerror(errno);
}
std::string judge(long result, const char* what) { return result < 0 ? stopped(what) : done(what); }

std::string list(const std::string& folder) {
  DIR* entries = ::opendir(folder.c_str());
  if (entries == nullptr) return stopped("opendir");
  std::string names;
  while (const dirent* entry = ::readdir(entries)) names += std::string(" ") + entry->d_name;
  ::closedir(entries);
  return done(names);
}

std::string read(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY);
  if (file < 0) return stopped("open");
  char text[256] = {};
  const ssize_t bytes = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  return bytes < 0 ? stopped("read") : done(text);
}

std::string connect_to_port(const std::string& port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  if (socket < 0) return stopped("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(port.c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return judge(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
               "connect");
}

std::string connect_to_socket(const std::string& path) {
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (socket < 0) return stopped("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return judge(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
               "connect");
}

constexpr int kMostForks = 5000;

/// Forks until it cannot; all of them go with the first.
std::string fork_bomb(const std::string&) {
  int count = 0;
  while (count < kMostForks) {
    const pid_t child = ::fork();
    if (child < 0) break;
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    ++count;
  }
  const std::string end = stopped("fork");
  return count < kMostForks ? "after " + std::to_string(count) + " " + end : done("forked");
}

std::string run_program(const std::string& path) {
  char* const arguments[] = {const_cast<char*>(path.c_str()), nullptr};
  ::execv(path.c_str(), arguments);
  return stopped("execv");
}

std::string read_memory(const std::string& pid) {
  char text[16];
  const iovec here{text, sizeof(text)};
  const iovec there{reinterpret_cast<void*>(0x400000), sizeof(text)};
  return judge(::process_vm_readv(std::atoi(pid.c_str()), &here, 1, &there, 1, 0),
               "process_vm_readv");
}

std::string write_file(const std::string& path) {
  return judge(::open(path.c_str(), O_WRONLY | O_CREAT, 0600), "open for writing");
}

std::string run_written_memory(const std::string&) {
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return judge(::mprotect(memory, 4096, PROT_READ | PROT_EXEC), "mprotect");
}

std::string list_descriptors(const std::string&) {
  std::string open;
  for (int fd = 0; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) open += " " + std::to_string(fd);
  }
  return done(open);
}

std::string make_it_wait(const std::string& descriptor) {
  return judge(::fcntl(std::atoi(descriptor.c_str()), F_SETFL, 0), "fcntl");
}

std::string list_environment(const std::string&) {
  std::string names;
  for (char** entry = environ; *entry != nullptr; ++entry) names += std::string(" ") + *entry;
  return done(names);
}

std::string tell_limits(const std::string&) {
  rlimit core{}, locked{};
  ::getrlimit(RLIMIT_CORE, &core);
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  return done("core " + std::to_string(core.rlim_max) + " memlock " +
              std::to_string(locked.rlim_max));
}

std::string tell_user(const std::string&) { return done(std::to_string(::getuid())); }

const std::map<std::string, std::function<std::string(const std::string&)>> kAttacks = {
    {"read", read},
    {"list", list},
    {"connect-port", connect_to_port},
    {"connect-socket", connect_to_socket},
    {"fork-bomb", fork_bomb},
    {"exec", run_program},
    {"read-memory", read_memory},
    {"write", write_file},
    {"run-memory", run_written_memory},
    {"descriptors", list_descriptors},
    {"make-it-wait", make_it_wait},
    {"environment", list_environment},
    {"limits", tell_limits},
    {"user", tell_user},
    {"socket", [](auto&) { return judge(::socket(AF_INET, SOCK_DGRAM, 0), "socket"); }},
    {"ptrace",
     [](const std::string& pid) {
       return judge(::ptrace(PTRACE_SEIZE, std::atoi(pid.c_str()), nullptr, nullptr), "ptrace");
     }},
    {"kill",
     [](const std::string& pid) { return judge(::kill(std::atoi(pid.c_str()), SIGKILL), "kill"); }},
    {"root", [](auto&) { return judge(::setuid(0), "setuid"); }},
    {"mount", [](auto&) { return judge(::mount("x", "/proc", "tmpfs", 0, nullptr), "mount"); }},
    {"namespace", [](auto&) { return judge(::unshare(CLONE_NEWUSER), "unshare"); }},
    {"shared-memory",
     [](const std::string& key) {
       return judge(::shmget(std::atoi(key.c_str()), 1, 0), "shmget");
     }},
    {"abort", [](auto&) -> std::string { std::abort(); }},
};

int32_t load(const pocket_engine_load_options* options, pocket_engine_model**,
             pocket_engine_error* error) {
  std::ifstream file(options->model_path);
  std::string attack, argument;
  file >> attack >> argument;
  const auto found = kAttacks.find(attack);
  const std::string told =
      found == kAttacks.end() ? "no attack " + attack : found->second(argument);
  std::snprintf(error->message, sizeof(error->message), "%s", told.c_str());
  return POCKET_ENGINE_ERROR;
}

// Never called: no load succeeds.
void unload(pocket_engine_model*) {}
uint32_t count(const pocket_engine_model*) { return 0; }
int32_t info(const pocket_engine_model*, uint32_t, pocket_engine_tensor_info*) {
  return POCKET_NOT_FOUND;
}
int32_t create(pocket_engine_model*, pocket_engine_context**, pocket_engine_error*) {
  return POCKET_INTERNAL;
}
void destroy(pocket_engine_context*) {}
int32_t run(pocket_engine_context*, const pocket_engine_input*, uint32_t, pocket_engine_output*,
            uint32_t, pocket_engine_error*) {
  return POCKET_INTERNAL;
}

constexpr pocket_engine_api kApi = {.abi_version = POCKET_ENGINE_ABI_VERSION,
                                    .struct_size = sizeof(pocket_engine_api),
                                    .name = "hostile",
                                    .version = "1",
                                    .load = load,
                                    .unload = unload,
                                    .input_count = count,
                                    .output_count = count,
                                    .input_info = info,
                                    .output_info = info,
                                    .create_context = create,
                                    .destroy_context = destroy,
                                    .run = run,
                                    .expect_parallel_runs = nullptr,
                                    .limit_threads = nullptr,
                                    .run_call = nullptr,
                                    .client_gone = nullptr,
                                    .give_back = nullptr};

}  // namespace

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return &kApi;
}
