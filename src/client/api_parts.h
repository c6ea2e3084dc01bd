// What the two halves of the C interface share (api.cc: sessions and models; api_call.cc: calls).
#pragma once

#include <memory>
#include <new>
#include <set>
#include <string>

#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "client/call.h"
#include "client/model.h"
#include "client/session.h"
#include "pocket/pocket.h"

struct pocket_session {
  std::shared_ptr<pocket::client::Session> session;
  pocket_wait_mode wait_mode = POCKET_WAIT_ADAPTIVE;
  pocket::Mutex mutex;
  std::set<pocket_model*> models POCKET_GUARDED_BY(mutex);
  pocket::UniqueFd epoll POCKET_GUARDED_BY(mutex);  // made by pocket_session_fd
};

struct pocket_model {
  pocket_session* owner = nullptr;
  std::unique_ptr<pocket::client::Model> model;
};

struct pocket_call {
  pocket_model* owner;
  pocket::client::Call call;
};

namespace pocket::client {

/// Keeps the message for pocket_last_error() of this thread; the status.
int32_t failed(const Error& error);

template <typename T>
int32_t give(Result<T> result, T* target) {
  if (!result.ok()) return failed(result.error());
  *target = std::move(result).value();
  return POCKET_OK;
}

inline int32_t status_of(const Result<void>& result) {
  return result.ok() ? static_cast<int32_t>(POCKET_OK) : failed(result.error());
}

inline int32_t missing(const char* what) {
  return failed(Error{POCKET_INVALID_ARGUMENT, std::string(what) + " must not be NULL"});
}

/// Nothing thrown may cross the C interface; only running out of memory throws here.
template <typename Body>
int32_t guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return failed(Error{POCKET_RESOURCE_EXHAUSTED, "out of memory"});
  }
}

}  // namespace pocket::client
