// What a call of libpocket came to, as a value that a test can look at.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "pocket/pocket.hpp"

namespace pocket::testing {

struct Outcome {
  int32_t status = POCKET_OK;
  std::string message;
};

inline void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << pocket_status_name(outcome.status) << ": " << outcome.message;
}

/// Runs `body`, which uses pocket.hpp, and gives what it ended with.
template <typename Body>
Outcome outcome_of(Body body) {
  try {
    body();
  } catch (const StatusError& error) {
    return {error.status(), error.what()};
  }
  return {};
}

/// Matches an outcome of this status whose message holds every one of `texts`.
template <typename... Texts>
auto fails_with(pocket_status status, Texts... texts) {
  return ::testing::AllOf(
      ::testing::Field("status", &Outcome::status, static_cast<int32_t>(status)),
      ::testing::Field("message", &Outcome::message, ::testing::HasSubstr(texts))...);
}
inline auto succeeds() { return ::testing::Field("status", &Outcome::status, POCKET_OK); }

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1'000'000'000;

}  // namespace pocket::testing
