// The supervisor's own lines, in the form of pocketd's log.
#pragma once

#include <ctime>
#include <string>

namespace pocket::supervisor {

/// "2026-01-31T12:00:00.000 LEVEL pocket-supervisor: TEXT" on standard error, in one write; after
/// say_json(true) the object that docs/operations.md shows.
void say(const char* level, const std::string& text);
void say_json(bool json);

/// The line that say() writes of this moment, without its end. Pure but for the zone of the clock.
std::string line_of(bool json, const timespec& now, const char* level, const std::string& text);

/// Makes a file, to be appended to, the standard error of this process and of those that it starts.
/// Where it cannot be opened everything stays as it is.
void log_to(const std::string& path);

}  // namespace pocket::supervisor
