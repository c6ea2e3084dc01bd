#include "sandbox/syscall_filter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace pocket::sandbox {
namespace {

constexpr int kGetSeals = 1034;  // F_GET_SEALS, which not every fcntl.h has

struct Release {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};

/// Collects the first failure, so that each rule is one line.
class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_TRAP)) {
    if (context_ == nullptr) failure_ = ENOMEM;
  }

  template <typename... Conditions>
  void allow(int call, Conditions... conditions) {
    add(SCMP_ACT_ALLOW, call, conditions...);
  }
  template <typename... Conditions>
  void refuse(int error, int call, Conditions... conditions) {
    add(SCMP_ACT_ERRNO(static_cast<uint16_t>(error)), call, conditions...);
  }

  Result<void> load() {
    set(SCMP_FLTATR_CTL_TSYNC, 1);
    set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: few comparisons for each call
    if (failure_ == 0) failure_ = -::seccomp_load(context_.get());
    if (failure_ == 0) return ok_result();
    return errno_error("making the list of system calls final", failure_);
  }

 private:
  template <typename... Conditions>
  void add(uint32_t action, int call, Conditions... conditions) {
    if (failure_ != 0) return;
    const int result =
        ::seccomp_rule_add(context_.get(), action, call, sizeof...(conditions), conditions...);
    // A call that only other processors have needs no rule.
    if (result != 0 && result != -EDOM) failure_ = -result;
  }
  void set(scmp_filter_attr attribute, uint32_t value) {
    if (failure_ == 0) failure_ = -::seccomp_attr_set(context_.get(), attribute, value);
  }

  std::unique_ptr<void, Release> context_;
  int failure_ = 0;
};

scmp_arg_cmp has_bits(unsigned argument, uint64_t mask, uint64_t value) {
  return scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, mask, value};
}
scmp_arg_cmp equals(unsigned argument, uint64_t value) {
  return scmp_arg_cmp{argument, SCMP_CMP_EQ, value, 0};
}

void allow_threads(Filter& filter) {
  filter.allow(SCMP_SYS(clone), has_bits(0, CLONE_THREAD, CLONE_THREAD));
  // Its arguments lie in memory, where no filter can see them; the C library then uses clone.
  filter.refuse(ENOSYS, SCMP_SYS(clone3));
  const auto self = static_cast<uint64_t>(::getpid());
  filter.allow(SCMP_SYS(tgkill), equals(0, self));
}

void allow_memory(Filter& filter, bool executable) {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    if (executable) {
      filter.allow(call);
    } else {
      filter.allow(call, has_bits(2, PROT_EXEC, 0));
      filter.refuse(EACCES, call, has_bits(2, PROT_EXEC, PROT_EXEC));
    }
  }
}

void allow_files(Filter& filter, bool written) {
  constexpr uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
  for (const auto& [call, flags] : {std::pair{SCMP_SYS(open), 1U}, {SCMP_SYS(openat), 2U}}) {
    if (written) {
      filter.allow(call);
      continue;
    }
    filter.allow(call, has_bits(flags, kWriting, O_RDONLY));
    for (const uint64_t bit : {uint64_t{O_WRONLY}, uint64_t{O_RDWR}, uint64_t{O_CREAT},
                               uint64_t{O_TRUNC}, uint64_t{O_APPEND}}) {
      filter.refuse(EACCES, call, has_bits(flags, bit, bit));
    }
  }
}

/// Descriptors are shared with clients and the service: none of them is made to wait.
void allow_descriptors(Filter& filter) {
  for (const int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK,
                            F_SETLKW, kGetSeals}) {
    filter.allow(SCMP_SYS(fcntl), equals(1, static_cast<uint64_t>(command)));
  }
  // Refused, not forbidden: libraries do it in good faith to files that they read.
  filter.allow(SCMP_SYS(fcntl), equals(1, F_SETFL), has_bits(2, O_NONBLOCK, O_NONBLOCK));
  filter.refuse(EPERM, SCMP_SYS(fcntl), equals(1, F_SETFL), has_bits(2, O_NONBLOCK, 0));
}

void allow_names(Filter& filter) {
  // Names of threads and of memory; whether it may gain privileges.
  constexpr uint64_t kNameMemory = 0x53564d41;  // PR_SET_VMA
  for (const uint64_t option :
       {uint64_t{PR_SET_NAME}, uint64_t{PR_GET_NAME}, kNameMemory, uint64_t{PR_GET_DUMPABLE},
        uint64_t{PR_GET_NO_NEW_PRIVS}, uint64_t{PR_CAPBSET_READ}, uint64_t{PR_GET_SECCOMP}}) {
    filter.allow(SCMP_SYS(prctl), equals(0, option));
  }
}

}  // namespace

Result<void> filter_syscalls(const SyscallList& list) {
  Filter filter;
  for (const SyscallRule& rule : list.rules) {
    const int call = ::seccomp_syscall_resolve_name(rule.name.c_str());
    if (call == __NR_SCMP_ERROR) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("a list of system calls names '{}', which there is not", rule.name)};
    }
    if (rule.refusal == 0) {
      filter.allow(call);
    } else {
      filter.refuse(rule.refusal, call);
    }
  }
  allow_threads(filter);
  allow_memory(filter, list.executable_memory);
  allow_files(filter, list.written_files);
  allow_descriptors(filter);
  allow_names(filter);
  return filter.load();
}

}  // namespace pocket::sandbox
