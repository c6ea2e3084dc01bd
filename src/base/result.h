// Result<T>: a value or an Error, for everything that can be expected to fail (docs/errors.md).
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "pocket/status.h"

namespace pocket {

/// Why something failed: a code to act on and a message that names the call, the object and the
/// next step. Never holds POCKET_OK.
struct Error {
  pocket_status code = POCKET_INTERNAL;
  std::string message;
  /// Of BUSY: when the same may succeed; 0: nobody knows.
  uint64_t retry_after_ns = 0;

  /// Adds context in front: "loading model 'x': <message>".
  [[nodiscard]] Error with_context(const std::string& context) && {
    message = context + ": " + message;
    return std::move(*this);
  }
};

/// A value of type T or an Error. Move-only when T is.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit: a function returns the value or the error itself.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {
    assert(this->error().code != POCKET_OK);
  }
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  const Error& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

/// Result without a value: Result<void>{} is success, also written `ok_result()`.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)), failed_(true) {
    assert(error_.code != POCKET_OK);
  }

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  Error& error() & { return error_; }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_;
  bool failed_ = false;
};

inline Result<void> ok_result() { return {}; }

/// An Error whose message ends in errno's text: "open '/x': No such file or directory".
/// The code is derived from errno (ENOENT: NOT_FOUND, EACCES/EPERM: PERMISSION_DENIED, ...).
Error errno_error(const std::string& what, int errno_value);

}  // namespace pocket

#define POCKET_CONCAT_INNER(a, b) a##b
#define POCKET_CONCAT(a, b) POCKET_CONCAT_INNER(a, b)

/// Returns the error of a Result from the enclosing function, if it holds one.
#define POCKET_RETURN_IF_ERROR(expression)                          \
  do {                                                              \
    if (auto pocket_result_ = (expression); !pocket_result_.ok()) { \
      return std::move(pocket_result_).error();                     \
    }                                                               \
  } while (false)

/// `POCKET_ASSIGN_OR_RETURN(auto x, f());` - x is f's value, or the error is returned.
#define POCKET_ASSIGN_OR_RETURN(declaration, expression) \
  POCKET_ASSIGN_OR_RETURN_INNER(POCKET_CONCAT(pocket_result_, __LINE__), declaration, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): names that are declared
#define POCKET_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                          \
  if (!result.ok()) return std::move(result).error();                  \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)
