// Amounts as people write them: "128m", "0.5", "0-1,3", KEY=VALUE.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::cli {

/// "4096", "128m", "1.5g": bytes; b, k, m and g are powers of 1024, in either case. At least 1m.
Result<uint64_t> parse_memory(const std::string& text);
/// "0.5": processors, from 0.01 to 4096.
Result<double> parse_cpus(const std::string& text);
/// "0-1,3": numbers of processors, sorted, each once; all below 4096.
Result<std::vector<int>> parse_cpu_list(const std::string& text);
/// A name for a run: letters, digits, '.', '_' and '-', not first, at most 64 characters.
Result<void> check_run_name(const std::string& text);
/// "K=V" with K a name that a shell would accept.
Result<void> check_environment(const std::string& text);

/// 134217728 -> "128.0 MiB".
std::string memory_text(uint64_t bytes);

}  // namespace pocket::cli
