#include "daemon/audit.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "base/clock.h"
#include "log/json_text.h"

namespace pocket::daemon {
namespace {

using log::json_text;

constexpr std::array<const char*, 4> kKindNames = {"permission", "limit", "malformed", "handle"};

/// As in the log, in UTC.
std::string now_text() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}+00:00", text.data(), now.tv_nsec / 1'000'000);
}

std::string json_line(const Refusal& refusal) {
  return fmt::format(
      R"({{"time":"{}","event":"refused","kind":"{}","status":"{}","tenant":{},"uid":{},"pid":{},)"
      R"("group":{},"client":{},"session":{},"what":{},"why":{},"count":{}}})",
      now_text(), kind_name(refusal.kind), pocket_status_name(refusal.why.code),
      json_text(refusal.who.tenant), refusal.who.uid, refusal.who.pid, json_text(refusal.who.group),
      json_text(refusal.who.name), refusal.who.session, json_text(refusal.what),
      json_text(refusal.why.message), refusal.count);
}

/// Whatever comes from outside is quoted, so that nobody can fake a line or a
/// field.
std::string text_line(const Refusal& refusal) {
  return fmt::format(
      "refused kind={} status={} tenant={} uid={} pid={} group={} client={} "
      "session={} what={} "
      "why={} count={}",
      kind_name(refusal.kind), pocket_status_name(refusal.why.code), json_text(refusal.who.tenant),
      refusal.who.uid, refusal.who.pid, json_text(refusal.who.group), json_text(refusal.who.name),
      refusal.who.session, json_text(refusal.what), json_text(refusal.why.message), refusal.count);
}

}  // namespace

const char* kind_name(RefusalKind kind) { return kKindNames.at(static_cast<size_t>(kind)); }

Audit::~Audit() {
  if (timer_ == 0) return;
  loop_.cancel(timer_);
  tell_left_out();
}

Result<UniqueFd> Audit::open(const LogConfig& config) {
  if (config.audit.empty()) return UniqueFd();
  UniqueFd file(::open(config.audit.c_str(),
                       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600));
  if (!file.valid()) {
    return errno_error(fmt::format("opening the audit trail '{}' (log.audit)", config.audit),
                       errno);
  }
  return file;
}

void Audit::use(UniqueFd file, const LogConfig& config) {
  tell_left_out();
  file_ = std::move(file);
  json_ = config.format == "json";
  rate_.set_limit(config.per_second);
}

void Audit::refused(const Refusal& refusal) {
  const log::Rate::Key key{refusal.who.tenant, static_cast<int>(refusal.kind)};
  if (rate_.allow(key, monotonic_ns(), refusal.count)) {
    const bool to_file = file_.valid();
    const std::string line = to_file && json_ ? json_line(refusal)
                             : to_file        ? now_text() + " " + text_line(refusal)
                                              : text_line(refusal);
    // Limits are an ordinary day's work: less loud in the log.
    write(line, refusal.kind == RefusalKind::kLimit);
  }
  if (timer_ == 0) {
    timer_ = loop_.after(kNanosecondsPerSecond, [this] {
      timer_ = 0;
      tell_left_out();
    });
  }
}

void Audit::tell_left_out() {
  for (const auto& [key, count] : rate_.take_left_out(monotonic_ns())) {
    const char* kind = kind_name(static_cast<RefusalKind>(key.second));
    const std::string tenant = json_text(key.first);
    std::string line = fmt::format("left_out kind={} tenant={} count={}", kind, tenant, count);
    if (file_.valid() && json_) {
      line = fmt::format(R"({{"time":"{}","event":"left_out","kind":"{}","tenant":{},"count":{}}})",
                         now_text(), kind, tenant, count);
    } else if (file_.valid()) {
      line = now_text() + " " + line;
    }
    write(line, false);
  }
}

void Audit::write(const std::string& line, bool quiet) {
  if (!file_.valid()) {
    spdlog::log(quiet ? spdlog::level::info : spdlog::level::warn, "{}", line);
    return;
  }
  const std::string whole = line + "\n";
  if (::write(file_.get(), whole.data(), whole.size()) == static_cast<ssize_t>(whole.size())) {
    if (lost_ > 0) spdlog::warn("the audit trail is written again; {} lines are missing", lost_);
    lost_ = 0;
    return;
  }
  if (lost_++ == 0) {
    spdlog::error("the audit trail cannot be written: {}; more of this is counted only",
                  errno_error("write", errno).message);
  }
}

}  // namespace pocket::daemon
