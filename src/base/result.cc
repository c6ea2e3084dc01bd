#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace pocket {
namespace {

pocket_status status_of_errno(int value) {
  switch (value) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
      return POCKET_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
      return POCKET_PERMISSION_DENIED;
    case EEXIST:
    case EADDRINUSE:
      return POCKET_ALREADY_EXISTS;
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case EDQUOT:
      return POCKET_RESOURCE_EXHAUSTED;
    case EAGAIN:
    case EBUSY:
      return POCKET_BUSY;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
      return POCKET_UNAVAILABLE;
    case ETIMEDOUT:
      return POCKET_DEADLINE_EXCEEDED;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
      return POCKET_INVALID_ARGUMENT;
    case ENOSYS:
    case EOPNOTSUPP:
      return POCKET_UNIMPLEMENTED;
    default:
      return POCKET_INTERNAL;
  }
}

}  // namespace

Error errno_error(const std::string& what, int errno_value) {
  const char* advice =
      errno_value == EMFILE ? " (raise the limit of this process, `ulimit -n`, or close some)" : "";
  return Error{status_of_errno(errno_value),
               what + ": " + std::generic_category().message(errno_value) + advice};
}

}  // namespace pocket
