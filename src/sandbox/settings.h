// What a runner is protected with, and what the configuration says about it ([sandbox] in
// docs/configuration.md).
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pocket::sandbox {

/// One mechanism each, which can be switched by itself.
enum class Protection {
  kUser,             // a user of the runner's own
  kCapabilities,     // none, and none to be had
  kNoNewPrivileges,  // no program gives any
  kNetwork,          // a network namespace with nothing in it
  kIpc,              // an IPC namespace of its own
  kMounts,           // a file tree with the models, the libraries and nothing else, read-only
  kProcesses,        // a PID namespace: no other process can be seen or named
  kSyscalls,         // a list of system calls; others end the runner
  kLimits,           // rlimits: processes, locked memory, files, message queues, priorities
  kDumps,            // no core dumps, no ptrace, no reading of its memory by its own user
};
constexpr size_t kProtections = 10;
constexpr std::array<Protection, kProtections> kAllProtections = {
    Protection::kUser,      Protection::kCapabilities, Protection::kNoNewPrivileges,
    Protection::kNetwork,   Protection::kIpc,          Protection::kMounts,
    Protection::kProcesses, Protection::kSyscalls,     Protection::kLimits,
    Protection::kDumps};

/// The name in configuration and reports, e.g. "network".
std::string_view name_of(Protection protection);

enum class Mode {
  kAuto,     // as far as the host gives it
  kRequire,  // the service does not start without
  kOff,
};

/// Plain data.
struct Settings {
  std::array<Mode, kProtections> modes{};  // by Protection; all automatic
  std::string user;  // name or number; empty: one for each runner, that nothing else has

  Mode mode(Protection protection) const { return modes[static_cast<size_t>(protection)]; }
  bool wants(Protection protection) const { return mode(protection) != Mode::kOff; }
  bool operator==(const Settings& other) const = default;
  void set(Protection protection, Mode mode) { modes[static_cast<size_t>(protection)] = mode; }
};

/// INVALID_ARGUMENT unless "auto", "require" or "off".
Result<Mode> parse_mode(std::string_view text);
/// "network=off,user=require": what differs from automatic; both directions, for a command line.
std::string modes_text(const Settings& settings);
Result<void> parse_modes(std::string_view text, Settings& settings);

/// What became of one protection.
struct Outcome {
  bool on = false;
  std::string why_not;  // when it is not on
};

/// What became of all of them.
struct Report {
  std::array<Outcome, kProtections> outcomes{};

  Outcome& of(Protection protection) { return outcomes[static_cast<size_t>(protection)]; }
  const Outcome& of(Protection protection) const {
    return outcomes[static_cast<size_t>(protection)];
  }
  /// One line for each: its name, "on" or why it is not. Both directions, for a pipe.
  std::string text() const;
  static Result<Report> parse(std::string_view text);
};

/// "network: ..." for each protection that was wanted and is not on.
std::vector<std::string> missing(const Settings& settings, const Report& report);
/// FAILED_PRECONDITION that names the protections which are required and not on.
Result<void> check_required(const Settings& settings, const Report& report);

}  // namespace pocket::sandbox
