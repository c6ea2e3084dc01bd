// The audit trail: what was refused, to whom and why, one line each.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/config.h"
#include "daemon/event_loop.h"
#include "log/rate.h"

namespace pocket::daemon {

enum class RefusalKind { kPermission, kLimit, kMalformed, kHandle };
/// "permission", "limit", "malformed" or "handle".
const char* kind_name(RefusalKind kind);

/// Who asked, as the kernel says.
struct Asker {
  std::string tenant;
  std::string group;  // control group; empty when not known
  std::string name;   // as the client calls itself
  pid_t pid = 0;
  uid_t uid = 0;
  uint64_t session = 0;  // 0: it was not let in
};

struct Refusal {
  RefusalKind kind = RefusalKind::kPermission;
  Asker who;
  std::string what;  // the message or call
  Error why;
  uint64_t count = 1;
};

/// Writes to the file of [log] audit, or to the log where there is none, at
/// most `per_second` lines for each tenant and kind: a client that is refused
/// all the time fills no disk. What is left out is counted, and told within a
/// second. Loop's thread only.
class Audit {
 public:
  explicit Audit(EventLoop& loop) : loop_(loop) {}
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  /// Opens the file, with 0600 and to be appended to; an invalid descriptor
  /// where there is none.
  static Result<UniqueFd> open(const LogConfig& config);
  /// Writes there from now on, in that form.
  void use(UniqueFd file, const LogConfig& config);

  void refused(const Refusal& refusal);

 private:
  void write(const std::string& line, bool quiet);
  void tell_left_out();

  EventLoop& loop_;
  UniqueFd file_;
  bool json_ = false;
  log::Rate rate_;
  uint64_t lost_ = 0;  // lines that could not be written
  EventLoop::TimerId timer_ = 0;
};

}  // namespace pocket::daemon
