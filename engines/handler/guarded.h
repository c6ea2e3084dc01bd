// Calls into a handler, whose failures and exceptions become errors.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <new>
#include <string>

#include "base/result.h"
#include "pocket/handler.h"

namespace pocket::handler_engine {

/// `body(pocket_handler_error*)` calls the handler and gives its status. What it throws becomes
/// ENGINE_ERROR; a number that is no status, or that only a host may give, too.
template <typename Body>
Result<void> guarded(const pocket_handler_api& api, Body body) {
  pocket_handler_error error;
  error.message[0] = '\0';
  try {
    const int32_t status = body(&error);
    if (status == POCKET_OK) return ok_result();
    error.message[sizeof(error.message) - 1] = '\0';
    const std::string text = error.message[0] == '\0' ? "it gave no reason" : error.message;
    if (status < 0 || status >= POCKET_OUTPUT_TOO_SMALL) {
      return Error{POCKET_ENGINE_ERROR,
                   fmt::format("handler '{}' ended with {}, which is no status: {}", api.name,
                               status, text)};
    }
    return Error{static_cast<pocket_status>(status), text};
  } catch (const std::bad_alloc&) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("handler '{}' has no memory left", api.name)};
  } catch (const std::exception& thrown) {
    return Error{POCKET_ENGINE_ERROR,
                 fmt::format("handler '{}' threw: {}", api.name, thrown.what())};
  } catch (...) {
    return Error{POCKET_ENGINE_ERROR, fmt::format("handler '{}' threw something", api.name)};
  }
}

}  // namespace pocket::handler_engine
