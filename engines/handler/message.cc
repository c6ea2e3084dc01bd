#include "message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace pocket::handler_engine {
namespace {

std::string digest_text(const uint8_t* digest) {
  std::string text;
  for (size_t index = 0; index < 8; ++index) text += fmt::format("{:02x}", digest[index]);
  return text;
}

/// kCallByName: the method's name stands in front of the message, ended by a zero byte.
Result<void> find_method(Request& request, const pocket_handler_api& handler) {
  const auto end = std::find(request.message.begin(), request.message.end(), std::byte{0});
  if (end == request.message.end()) {
    return Error{POCKET_INVALID_ARGUMENT, "the name of the method has no end"};
  }
  const std::string name(reinterpret_cast<const char*>(request.message.data()),
                         static_cast<size_t>(end - request.message.begin()));
  std::string known;
  for (uint32_t index = 0; index < handler.method_count; ++index) {
    if (name == handler.methods[index].name) {
      request.header.method = index;
      request.header.operation = Operation::kCall;
      request.message = request.message.subspan(name.size() + 1);
      return ok_result();
    }
    known += (known.empty() ? "'" : ", '") + std::string(handler.methods[index].name) + "'";
  }
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("handler '{}' has no method '{}'; it has {}",
                                                    handler.name, name.substr(0, 64), known)};
}

Result<void> check_digest(const RequestHeader& header, const pocket_handler_api& handler) {
  const bool compared = std::any_of(std::begin(handler.digest), std::end(handler.digest),
                                    [](uint8_t byte) { return byte != 0; });
  if (!compared || std::memcmp(header.digest, handler.digest, sizeof(header.digest)) == 0) {
    return ok_result();
  }
  return Error{
      POCKET_VERSION_MISMATCH,
      fmt::format("the client was built for another interface ({}) than handler '{}' ({}): "
                  "build both from the same .proto file",
                  digest_text(header.digest), handler.name, digest_text(handler.digest))};
}

}  // namespace

Result<Request> read_request(std::span<const std::byte> bytes, const pocket_handler_api& handler) {
  Request request;
  RequestHeader& header = request.header;
  if (bytes.size() < sizeof(header)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("a request to a handler has at least {} bytes, {} were given: use the "
                             "client that protoc-gen-pocket writes",
                             sizeof(header), bytes.size())};
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  request.message = bytes.subspan(sizeof(header));
  if (header.magic != kRequestMagic || header.reserved != 0) {
    return Error{POCKET_INVALID_ARGUMENT,
                 "the request is no message for a handler: use the client that protoc-gen-pocket "
                 "writes"};
  }
  if (static_cast<uint32_t>(header.operation) > static_cast<uint32_t>(Operation::kCallByName)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("there is no operation {}", static_cast<uint32_t>(header.operation))};
  }
  if (header.operation == Operation::kCallByName) {
    POCKET_RETURN_IF_ERROR(find_method(request, handler));
  } else {
    POCKET_RETURN_IF_ERROR(check_digest(header, handler));
  }
  if (header.method >= handler.method_count) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("handler '{}' has {} methods; there is no method {}", handler.name,
                             handler.method_count, header.method)};
  }
  const pocket_handler_method& method = handler.methods[header.method];
  if ((method.streaming != 0) == (header.operation == Operation::kCall)) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("method '{}' of handler '{}' {}", method.name, handler.name,
                             method.streaming != 0 ? "answers in parts" : "answers once")};
  }
  return request;
}

}  // namespace pocket::handler_engine
