// When and how much of its own budget a client lends: the strings of POCKET_CPU_POLICY and
// POCKET_MEM_POLICY, and the amounts they mean. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lease/driver.h"

namespace pocket::lease {

/// When: with each call; from connect to disconnect; with calls, where back-to-back calls share one
/// loan; while the client sleeps.
enum class Granularity : uint8_t { kFunc, kConn, kAdaptive, kIdle };

/// How much: a share; all but what a small client needs; nothing.
enum class Amount : uint8_t { kRatio, kMinimum, kNone };

/// A share is exact: a number of billionths, so that 0.29 of 100 is 29.
constexpr int64_t kWholeRatio = 1'000'000'000;

struct Policy {
  Granularity granularity = Granularity::kFunc;
  Amount amount = Amount::kRatio;
  int64_t ratio = kWholeRatio / 2;  // billionths, 0 <= ratio < kWholeRatio; 0 unless kRatio
  friend bool operator==(const Policy&, const Policy&) = default;
};

/// The strings that parse_policy understands, one line for a help text.
extern const char* const kPolicyGrammar;

/// Reads `func|conn , ratio,R | minimum | none`, `adaptive[,ratio,R]`, `idle[,ratio,R]` or `none`,
/// with spaces and tabs around the words. R is a plain decimal, 0 <= R < 1. INVALID_ARGUMENT names
/// what is wrong, the nearest word that would be right, and the whole grammar.
Result<Policy> parse_policy(std::string_view text);

/// The string that parse_policy reads as the same policy.
std::string to_string(const Policy& policy);

/// The smallest CPU quota that the kernel takes, in microseconds: a lender keeps that much.
constexpr int64_t kSmallestQuota = 1000;
constexpr int64_t kPageBytes = 4096;
/// What `minimum` leaves a client.
constexpr int64_t kMinimumMemory = int64_t{200} << 20;

/// An amount in the lender's unit, >= 0, and why it is 0 where that is not what the policy asks for
/// (never null; "" when there is nothing to say).
struct Wanted {
  int64_t amount = 0;
  const char* reason = "";
};

/// What a lender with this limit would lend, whatever it can spare at this moment.
/// ratio: memory in whole pages, CPU in microseconds of its own period. minimum: memory beyond
/// 200 MiB; CPU 90 % of a processor. CPU always leaves kSmallestQuota; an unlimited lender lends 0.
Wanted wanted(const Policy& policy, Resource resource, const Limit& effective);

}  // namespace pocket::lease
