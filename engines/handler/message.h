// What stands in front of a handler's messages: docs/format-handler.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/result.h"
#include "pocket/handler.h"

namespace pocket::handler_engine {

enum class Operation : uint32_t {
  kCall = 0,
  kOpenStream = 1,
  kNext = 2,
  kCloseStream = 3,
  kCallByName = 4
};

constexpr uint32_t kRequestMagic = 0x31484b50;  // "PKH1"

struct RequestHeader {
  uint32_t magic;
  uint32_t method;
  uint8_t digest[POCKET_HANDLER_DIGEST_BYTES];
  Operation operation;
  uint32_t reserved;
  uint64_t stream;  // of kNext and kCloseStream
  uint64_t number;  // of the call among its client's; 0: asking again may run it again
};
static_assert(sizeof(RequestHeader) == 48 && std::is_trivially_copyable_v<RequestHeader>,
              "docs/format-handler.md");

struct ReplyHeader {
  uint64_t stream;  // that kOpenStream opened, else 0
  uint32_t end;     // of kNext: 1 when there is no further part, and no message
  uint32_t reserved;
};
static_assert(sizeof(ReplyHeader) == 16 && std::is_trivially_copyable_v<ReplyHeader>,
              "docs/format-handler.md");

struct Request {
  RequestHeader header;  // kCallByName has become kCall of that method
  std::span<const std::byte> message;
};

/// Copies the head of a request and checks it against the handler. VERSION_MISMATCH: the client was
/// built for another interface. INVALID_ARGUMENT: it is none, or says what cannot be.
Result<Request> read_request(std::span<const std::byte> request, const pocket_handler_api& handler);

}  // namespace pocket::handler_engine
