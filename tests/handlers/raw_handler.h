// A handler as a client without generated code talks to it (docs/format-handler.md).
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "pocket/pocket.hpp"

namespace pocket::testing {

enum class Operation : uint32_t { kCall = 0, kOpenStream = 1, kNext = 2, kCloseStream = 3 };

struct Request {
  uint32_t magic = 0x31484b50;
  uint32_t method = 0;
  uint8_t digest[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  Operation operation = Operation::kCall;
  uint32_t reserved = 0;
  uint64_t stream = 0;
  uint64_t number = 0;
};
static_assert(sizeof(Request) == 48);

struct Reply {
  uint64_t stream = 0;
  uint32_t end = 0;
  std::string message;
};

/// Puts a request into a call's first input.
inline void set_request(Call& call, const Request& request, const std::string& message) {
  const auto room =
      call.input<uint8_t>(0, {static_cast<int64_t>(sizeof(request) + message.size())});
  std::memcpy(room.data(), &request, sizeof(request));
  std::memcpy(room.data() + sizeof(request), message.data(), message.size());
}

inline Reply reply_of(const Call& call) {
  const auto bytes = call.output(0).values<uint8_t>();
  Reply reply;
  if (bytes.size() < 16) throw StatusError(POCKET_DATA_LOSS, "the reply has no head");
  std::memcpy(&reply.stream, bytes.data(), sizeof(reply.stream));
  std::memcpy(&reply.end, bytes.data() + 8, sizeof(reply.end));
  reply.message.assign(bytes.begin() + 16, bytes.end());
  return reply;
}

/// One operation, from request to reply.
inline Reply ask(const Model& model, const Request& request, const std::string& message,
                 uint64_t deadline_ns = POCKET_FOREVER) {
  Call call(model);
  set_request(call, request, message);
  call.run(deadline_ns);
  return reply_of(call);
}

}  // namespace pocket::testing
