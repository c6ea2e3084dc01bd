// Encoding and verified decoding of control messages (schema: control.fbs).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/control_generated.h"

namespace pocket::wire {

constexpr uint32_t kProtocolVersionMin = 1;  // range this build speaks
constexpr uint32_t kProtocolVersionMax = 1;

/// A message as one packet: `encode_message(7, control::DoneT{})`.
template <typename Table>
std::vector<uint8_t> encode_message(uint64_t id, Table body);

/// Verifies the bytes and unpacks them; DATA_LOSS for anything that is not a well-formed message.
/// Only vectors and strings inside the packet are allocated: bounded by its size.
Result<control::MessageT> decode_message(std::span<const uint8_t> packet);

std::vector<uint8_t> encode_message(const control::MessageT& message);

template <typename Table>
std::vector<uint8_t> encode_message(uint64_t id, Table body) {
  control::MessageT message;
  message.id = id;
  message.body.Set(std::move(body));
  return encode_message(message);
}

}  // namespace pocket::wire
